import type { Sent } from '../http-cache/answer';
import type { HttpCache } from '../http-cache/http-cache';
import type { ModelControl } from '../inference/model-control';
import type { ModelRepository } from '../inference/model-repository';
import type { Predictor } from '../inference/predictor';
import type { CacheLevel, Metrics } from '../metrics';

/** What the routes work with. */
export interface HttpContext {
  readonly region: string;
  /** Name in the Open Inference Protocol's server metadata; `mlcdn` where none is given. */
  readonly serverName?: string;
  readonly defaultModel: string | undefined;
  /** The cache in front of the HTTP origin; absent without one. */
  readonly httpCache: HttpCache | undefined;
  readonly repository: ModelRepository;
  /** Loads and unloads models on request; absent where nobody may ask. */
  readonly control?: ModelControl;
  /** Whether clients may load and unload models, or only look at them. */
  readonly modelControl?: boolean;
  readonly predictor: Predictor;
  readonly metrics: Metrics;
  /** How loaded this process is, 0 to 1: see `LoadMeter`. */
  readonly load?: () => number;
  /** Why this process should get no requests now; `undefined` when it should. */
  readonly unavailableReason: () => string | undefined;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The cache level that answered, for metrics; set by the route. */
    cacheLevel: CacheLevel;
    /** What the HTTP cache has sent by itself; absent where the router sends the answer. */
    sent: Sent | undefined;
  }
}
