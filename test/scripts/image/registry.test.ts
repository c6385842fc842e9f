import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { baseImage, pinned } from '../../../scripts/image/base-image';
import { type Registry, tagDigest } from '../../../scripts/image/registry';

const INDEX = JSON.stringify({
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: ['amd64', 'arm64'].map((architecture) => ({
    digest: 'sha256:0',
    platform: { os: 'linux', architecture },
  })),
});

let server: Server;
let registry: Registry;
/** Answers by tag. */
const tags = new Map<string, string>();

beforeAll(async () => {
  server = createServer(({ url = '', headers }, response) => {
    if (url === '/token?service=registry.docker.io&scope=repository:library/node:pull') {
      response.end('{"token":"secret"}');
      return;
    }
    const body = tags.get(url.replace('/v2/library/node/manifests/', ''));
    const isAllowed = headers.authorization === 'Bearer secret' && String(headers.accept).includes('image.index');
    response.writeHead(isAllowed ? (body === undefined ? 404 : 200) : 401).end(body ?? 'MANIFEST_UNKNOWN');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  registry = { url, tokenUrl: `${url}/token` };
  tags.set('good', INDEX);
  tags.set('single', '{"config":{}}');
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe('tagDigest', () => {
  test('is the digest of the bytes that the registry sends for the tag', async () => {
    const expected = `sha256:${createHash('sha256').update(INDEX).digest('hex')}`;
    expect(await tagDigest('node', 'good', 'arm64', registry)).toBe(expected);
  });

  test.each([
    ['a tag that does not exist', 'missing', 'arm64', 'status 404: MANIFEST_UNKNOWN'],
    ['an image of one platform', 'single', 'arm64', 'node:single must be an index'],
    ['an index without the platform', 'good', 's390x', 'no linux/s390x image, only linux/amd64, linux/arm64'],
  ])('refuses %s', async (_what, tag, architecture, message) => {
    await expect(tagDigest('node', tag, architecture, registry)).rejects.toThrow(message);
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
});
