import { createHash } from 'node:crypto';
import { z } from 'zod';

export const DOCKER_HUB = 'https://registry-1.docker.io';

const INDEX_TYPES =
  'application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json';
const IMAGE_TYPES = 'application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json';

const TIMEOUT_MS = 30_000;

const Platform = z.object({ os: z.string(), architecture: z.string() });
const ImageIndex = z.object({ manifests: z.array(z.object({ digest: z.string(), platform: Platform.optional() })) });
const Token = z.union([
  z.object({ token: z.string() }).transform(({ token }) => token),
  z.object({ access_token: z.string() }).transform(({ access_token }) => access_token),
]);

/**
 * The digest of a tag of an official image, `sha256:<64 hex digits>`: that of the index over all its platforms.
 *
 * Computed from the bytes that the registry sent; it must agree with what the registry says, and the registry must have the
 * index by this digest and the image of the architecture, so that a build finds both.
 * OCI Distribution Specification 1.1, "Pulling manifests"; Docker's token authentication.
 * @param registry address of Docker Hub, or of a mirror of it
 * @throws Error when one of this does not hold, the tag does not exist, or is no index or has no linux image of
 *   `architecture`
 */
export async function tagDigest(
  name: string,
  tag: string,
  architecture: string,
  registry = DOCKER_HUB,
): Promise<string> {
  const repository = new Repository(registry, `library/${name}`);
  const { body, claimed } = await repository.manifest(tag, INDEX_TYPES);
  const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
  if (claimed !== undefined && claimed !== digest) {
    throw new Error(`${name}:${tag}: the registry calls it ${claimed}, but sent ${digest}`);
  }
  const index = ImageIndex.safeParse(parsed(body));
  if (!index.success) throw new Error(`${name}:${tag} must be an index of images of several platforms`);
  const images = index.data.manifests.flatMap(({ digest: image, platform }) => (platform ? [{ image, platform }] : []));
  const wanted = images.find(({ platform }) => platform.os === 'linux' && platform.architecture === architecture);
  if (!wanted) {
    const platforms = images.map(({ platform }) => `${platform.os}/${platform.architecture}`);
    throw new Error(`${name}:${tag} has no linux/${architecture} image, only ${platforms.join(', ')}`);
  }
  await repository.manifest(digest, INDEX_TYPES);
  await repository.manifest(wanted.image, IMAGE_TYPES);
  return digest;
}

class Repository {
  private token: string | undefined;

  constructor(
    private readonly registry: string,
    private readonly name: string,
  ) {}

  /** The manifest of a tag or digest, and the digest by which the registry calls it. */
  async manifest(reference: string, types: string): Promise<{ body: string; claimed: string | undefined }> {
    const url = `${this.registry}/v2/${this.name}/manifests/${reference}`;
    const ask = () =>
      get(url, { accept: types, ...(this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }) });
    let response = await ask();
    if (response.status === 401 && this.token === undefined) {
      this.token = await this.answer(response.headers.get('www-authenticate') ?? '');
      response = await ask();
    }
    const body = await response.text();
    if (response.status === 404) throw new Error(`${this.registry} has no ${this.name} ${reference}: ${summary(body)}`);
    if (!response.ok) throw refusal(url, response, body);
    return { body, claimed: response.headers.get('docker-content-digest') ?? undefined };
  }

  /** Gets the token that a registry's challenge asks for, without an account: official images are public. */
  private async answer(challenge: string): Promise<string> {
    const fields = new Map([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value]));
    const realm = fields.get('realm');
    if (!/^bearer /i.test(challenge) || realm === undefined || !URL.canParse(realm)) {
      throw new Error(`${this.registry} asks for "${challenge}"; it must let anybody read, or give out Bearer tokens`);
    }
    const url = new URL(realm);
    const service = fields.get('service');
    if (service !== undefined) url.searchParams.set('service', service);
    url.searchParams.set('scope', fields.get('scope') ?? `repository:${this.name}:pull`);
    const response = await get(url.href);
    const body = await response.text();
    if (!response.ok) throw refusal(url.href, response, body);
    const token = Token.safeParse(parsed(body));
    if (!token.success) throw new Error(`GET ${url.href}: the answer holds no token`);
    return token.data;
  }
}

async function get(url: string, headers: Record<string, string> = {}): Promise<Response> {
  try {
    return await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    const { cause, message } = error as Error & { readonly cause?: { readonly message?: string } };
    throw new Error(`GET ${url}: no answer: ${cause?.message ?? message}`);
  }
}

function refusal(url: string, { status, headers }: Response, body: string): Error {
  const wait = headers.get('retry-after');
  const advice = status === 429 ? ` (too many requests${wait === null ? '' : `, again in ${wait} s`})` : '';
  return new Error(`GET ${url}: status ${status}${advice}: ${summary(body)}`);
}

function summary(body: string): string {
  return body.trim().slice(0, 200);
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
