import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../models/random';

/** What one viewer saw of one request. */
export interface Observation {
  /** `pop`, a tier of the edge service, or `computed`. */
  readonly tier: string;
  readonly region: string;
  readonly ms: number;
  readonly bytes: number;
}

interface PredictionBody {
  readonly edge_region: string;
}

/** One request of a viewer: a prediction of `features`, cacheable at the POP (`GET`) or not (`POST`). */
export interface DemoRequest {
  readonly method: 'GET' | 'POST';
  readonly features: readonly number[];
}

function tierOf(headers: Headers): string {
  if (/^(Hit|RefreshHit)/.test(headers.get('x-cache') ?? '')) return 'pop';
  return /;\s*hit\b.*detail=(\w+)/.exec(headers.get('cache-status') ?? '')?.[1] ?? 'computed';
}

/**
 * Sends one request and times it at the viewer.
 * @param delayMs simulated distance to add, for calls that do not pass the CDN and so get none from it
 * @throws when the answer is not 200
 */
export async function observe(
  baseUrl: string,
  request: DemoRequest,
  headers: Readonly<Record<string, string>>,
  delayMs = 0,
): Promise<Observation> {
  const start = performance.now();
  if (delayMs > 0) await sleep(delayMs);
  const response =
    request.method === 'GET'
      ? await fetch(`${baseUrl}/predict?model=ranker&features=${request.features.join(',')}`, { headers })
      : await fetch(`${baseUrl}/predict`, {
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/json' },
          body: JSON.stringify({ model: 'ranker', features: request.features }),
        });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`the demonstration got ${response.status} from ${baseUrl}: ${text}`);
  return {
    tier: tierOf(response.headers),
    region: (JSON.parse(text) as PredictionBody).edge_region,
    ms: performance.now() - start,
    bytes: Buffer.byteLength(text),
  };
}

/** `count` requests over `rows` with Zipf(1) popularity by rank; seven in ten are GETs. Same seed, same requests. */
export function zipfRequests(rows: readonly (readonly number[])[], count: number, seed: number): DemoRequest[] {
  const random = seededRandom(seed);
  const weights = rows.map((_, rank) => 1 / (rank + 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Array.from({ length: count }, () => {
    let left = random() * total;
    const rank = weights.findIndex((weight) => {
      left -= weight;
      return left < 0;
    });
    const features = rows[rank === -1 ? rows.length - 1 : rank] ?? [];
    return { method: random() < 0.7 ? 'GET' : 'POST', features };
  });
}
