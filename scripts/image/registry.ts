import { createHash } from 'node:crypto';
import { z } from 'zod';

/** Where a registry and its token service answer. */
export interface Registry {
  readonly url: string;
  readonly tokenUrl: string;
}

export const DOCKER_HUB: Registry = { url: 'https://registry-1.docker.io', tokenUrl: 'https://auth.docker.io/token' };

const INDEX_TYPES =
  'application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json';

const TIMEOUT_MS = 30_000;

const ImageIndex = z.object({
  manifests: z.array(z.object({ platform: z.object({ os: z.string(), architecture: z.string() }) })),
});

/**
 * The digest of an official image's tag, `sha256:<64 hex digits>`: that of the index over all its platforms.
 *
 * Computed from the bytes that the registry sent, not taken from its headers.
 * https://distribution.github.io/distribution/spec/api/#pulling-an-image-manifest
 * @throws Error when the registry does not answer 200, or the tag is no index or has no linux image of `architecture`
 */
export async function tagDigest(
  name: string,
  tag: string,
  architecture: string,
  registry: Registry = DOCKER_HUB,
): Promise<string> {
  const repository = `library/${name}`;
  const scope = `?service=registry.docker.io&scope=repository:${repository}:pull`;
  const { token } = z.object({ token: z.string() }).parse(JSON.parse(await get(`${registry.tokenUrl}${scope}`)));
  const body = await get(`${registry.url}/v2/${repository}/manifests/${tag}`, {
    accept: INDEX_TYPES,
    authorization: `Bearer ${token}`,
  });
  const index = ImageIndex.safeParse(JSON.parse(body));
  if (!index.success) throw new Error(`${name}:${tag} must be an index of images of several platforms`);
  const platforms = index.data.manifests.map(({ platform }) => `${platform.os}/${platform.architecture}`);
  if (!platforms.includes(`linux/${architecture}`)) {
    throw new Error(`${name}:${tag} has no linux/${architecture} image, only ${platforms.join(', ')}`);
  }
  return `sha256:${createHash('sha256').update(body).digest('hex')}`;
}

async function get(url: string, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
  const body = await response.text();
  if (!response.ok) throw new Error(`GET ${url}: status ${response.status}: ${body.slice(0, 200)}`);
  return body;
}
