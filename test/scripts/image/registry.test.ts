import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { baseImage, pinned } from '../../../scripts/image/base-image';
import { tagDigest } from '../../../scripts/image/registry';

const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';
const IMAGE_TYPE = 'application/vnd.oci.image.manifest.v1+json';

type Access = 'open' | 'token' | 'access_token' | 'basic' | 'closed' | 'busy';

/** A registry of one repository, `library/node`: manifests by tag and by digest, as the distribution specification says. */
class SmallRegistry {
  readonly #manifests = new Map<string, { type: string; body: string }>();
  readonly #tags = new Map<string, string>();
  readonly #server: Server = createServer((request, response) => this.#answer(request, response));
  access: Access = 'open';
  /** Sent in place of the right `Docker-Content-Digest`. */
  claim: string | undefined;

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Stores a manifest; returns its digest. */
  push(type: string, body: string, tag?: string): string {
    const digest = digestOf(body);
    this.#manifests.set(digest, { type, body });
    if (tag !== undefined) this.#tags.set(tag, digest);
    return digest;
  }

  /** Stores an image of each architecture and the index over them. */
  pushIndex(tag: string, architectures: readonly string[], release = ''): string {
    const manifests = architectures.map((architecture) => ({
      mediaType: IMAGE_TYPE,
      digest: this.push(IMAGE_TYPE, JSON.stringify({ schemaVersion: 2, architecture, release })),
      platform: { os: 'linux', architecture },
    }));
    // As builders add it to an index: what it is about is no platform.
    const attestation = { mediaType: IMAGE_TYPE, digest: digestOf('attestation') };
    return this.push(INDEX_TYPE, JSON.stringify({ schemaVersion: 2, manifests: [...manifests, attestation] }), tag);
  }

  remove(digest: string): void {
    this.#manifests.delete(digest);
  }

  #answer({ url = '', headers }: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(url, this.url);
    if (pathname === '/token') {
      const isAsked =
        searchParams.get('service') === 'small' && searchParams.get('scope') === 'repository:library/node:pull';
      response
        .writeHead(isAsked ? 200 : 400)
        .end(JSON.stringify({ [this.access === 'closed' ? 'token' : this.access]: 'secret' }));
      return;
    }
    if (this.#isRefused(headers.authorization, response)) return;
    const reference = pathname.replace('/v2/library/node/manifests/', '');
    const digest = this.#tags.get(reference) ?? reference;
    const manifest = this.#manifests.get(digest);
    if (!manifest || !String(headers.accept).includes(manifest.type)) {
      response.writeHead(404).end('{"errors":[{"code":"MANIFEST_UNKNOWN"}]}');
      return;
    }
    response.writeHead(200, { 'content-type': manifest.type, 'docker-content-digest': this.claim ?? digest });
    response.end(manifest.body);
  }

  #isRefused(authorization: string | undefined, response: ServerResponse): boolean {
    if (this.access === 'open' || (authorization === 'Bearer secret' && this.access !== 'closed')) return false;
    if (this.access === 'busy') {
      response.writeHead(429, { 'retry-after': '60' }).end('toomanyrequests');
      return true;
    }
    const bearer = `Bearer realm="${this.url}/token",service="small",scope="repository:library/node:pull"`;
    response.writeHead(401, { 'www-authenticate': this.access === 'basic' ? 'Basic realm="small"' : bearer });
    response.end('{"errors":[{"code":"UNAUTHORIZED"}]}');
    return true;
  }
}

function digestOf(body: string): string {
  return `sha256:${createHash('sha256').update(body).digest('hex')}`;
}

const TAG = '24.1.2-trixie-slim';
let registry: SmallRegistry;
let good: string;

beforeEach(async () => {
  registry = new SmallRegistry();
  await registry.start();
  good = registry.pushIndex(TAG, ['amd64', 'arm64']);
});
afterEach(() => registry.stop());

describe('the digest of a tag', () => {
  test.each(['open', 'token', 'access_token'] as const)(
    'is that of the index, where access is by %s',
    async (access) => {
      registry.access = access;
      expect(await tagDigest('node', TAG, 'arm64', registry.url)).toBe(good);
    },
  );

  test.each<[string, Access, RegExp]>([
    ['asks for a password', 'basic', /asks for "Basic realm="small""; it must let anybody read/],
    ['does not take its own token', 'closed', /status 401: {"errors"/],
    ['has had too many requests', 'busy', /status 429 \(too many requests, again in 60 s\): toomanyrequests/],
  ])('is refused when the registry %s', async (_what, access, message) => {
    registry.access = access;
    await expect(tagDigest('node', TAG, 'arm64', registry.url)).rejects.toThrow(message);
  });

  test('is refused for a tag that does not exist, with the registry and the tag', async () => {
    const asked = tagDigest('node', 'missing', 'arm64', registry.url);
    await expect(asked).rejects.toThrow(`${registry.url} has no library/node missing: {"errors"`);
  });

  test('is refused for an image of one platform', async () => {
    registry.push(INDEX_TYPE, '{"schemaVersion":2,"config":{}}', 'single');
    await expect(tagDigest('node', 'single', 'arm64', registry.url)).rejects.toThrow('node:single must be an index');
  });

  test('is refused for an index without the platform, with those that there are', async () => {
    const asked = tagDigest('node', TAG, 's390x', registry.url);
    await expect(asked).rejects.toThrow(`node:${TAG} has no linux/s390x image, only linux/amd64, linux/arm64`);
  });

  test('is refused for an index whose image of the platform is gone', async () => {
    const image = digestOf(JSON.stringify({ schemaVersion: 2, architecture: 'arm64', release: '' }));
    registry.remove(image);
    await expect(tagDigest('node', TAG, 'arm64', registry.url)).rejects.toThrow(`has no library/node ${image}`);
  });

  test('is refused when the registry calls it by another one than its bytes have', async () => {
    registry.claim = digestOf('other');
    const asked = tagDigest('node', TAG, 'arm64', registry.url);
    await expect(asked).rejects.toThrow(`the registry calls it ${digestOf('other')}, but sent ${good}`);
  });

  test('is refused when nothing answers', async () => {
    const { url } = registry;
    registry.stop();
    await expect(tagDigest('node', TAG, 'arm64', url)).rejects.toThrow(/no answer: .*ECONNREFUSED/);
  });
});

describe('the base of a Dockerfile', () => {
  const text = (reference: string) => `# base\nARG NODE_IMAGE=${reference}\nFROM \${NODE_IMAGE}\n`;
  const digest = `sha256:${'a'.repeat(64)}`;

  test('is read, pinned, and pinned anew', () => {
    const once = pinned(text('node:24.1.2-trixie-slim'), digest);
    expect(once).toBe(text(`node:24.1.2-trixie-slim@${digest}`));
    expect(baseImage(once)).toEqual({ tag: '24.1.2-trixie-slim', nodeVersion: '24.1.2', suite: 'trixie', digest });
    const other = `sha256:${'b'.repeat(64)}`;
    expect(pinned(once, other)).toBe(text(`node:24.1.2-trixie-slim@${other}`));
  });

  test.each(['node:24-trixie-slim', 'node:24.1.2-alpine', 'node:24.1.2-trixie-slim@sha256:12', ''])(
    'must be an exact version: %j is refused',
    (reference) => {
      expect(() => baseImage(text(reference))).toThrow(`NODE_IMAGE=${reference} must be an exact version`);
    },
  );

  describe('under the command', () => {
    let directory: string;
    let file: string;
    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'pin-'));
      file = join(directory, 'Dockerfile');
      writeFileSync(file, text(`node:${TAG}`));
    });
    afterEach(() => rmSync(directory, { recursive: true }));

    const pin = (...words: string[]) =>
      new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
        const command = ['--import', 'tsx', 'scripts/pin-base-image.ts', '--file', file, '--registry', registry.url];
        execFile(process.execPath, [...command, ...words], (error, stdout, stderr) => {
          resolve({ code: error?.code ?? 0, stdout, stderr });
        });
      });

    test('is pinned, stays pinned when its tag moves, and moves when it is told to', async () => {
      registry.access = 'token';
      expect(await pin()).toEqual({ code: 0, stdout: `node:${TAG}@${good}\n`, stderr: '' });
      expect(readFileSync(file, 'utf8')).toBe(text(`node:${TAG}@${good}`));
      expect((await pin()).stdout).toContain('as before');

      const moved = registry.pushIndex(TAG, ['amd64', 'arm64'], 'rebuilt');
      const refused = await pin();
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      expect(refused.stderr).toContain(`node:${TAG} has moved: pinned ${good}, now ${moved}.`);
      expect(readFileSync(file, 'utf8')).toBe(text(`node:${TAG}@${good}`));

      expect((await pin('--move')).code).toBe(0);
      expect(readFileSync(file, 'utf8')).toBe(text(`node:${TAG}@${moved}`));
    });

    test('is left as it was when the registry has no image for arm64', async () => {
      registry.pushIndex(TAG, ['amd64']);
      expect(await pin()).toMatchObject({ code: 1, stderr: expect.stringContaining('has no linux/arm64 image') });
      expect(readFileSync(file, 'utf8')).toBe(text(`node:${TAG}`));
    });
  });
});
