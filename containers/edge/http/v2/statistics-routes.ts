import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ServiceError } from '../../errors';
import type { LoadedModel } from '../../inference/loaded-model';
import type { ModelRepository } from '../../inference/model-repository';
import type { Duration, ModelStatistics, RunDurations } from '../../inference/model-statistics';
import type { HttpContext } from '../context';

type StatisticsRequest = FastifyRequest<{ Params: { readonly model?: string; readonly version?: string } }>;

/**
 * The statistics extension: what each version in memory has done since it was loaded.
 * https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_statistics.md
 */
export function registerStatisticsRoutes(app: FastifyInstance, { repository }: HttpContext): void {
  const paths = ['/v2/models/stats', '/v2/models/:model/stats', '/v2/models/:model/versions/:version/stats'];
  for (const path of paths) {
    app.get(path, async (request: StatisticsRequest, reply) => {
      reply.header('cache-control', 'no-store');
      const { model, version } = request.params;
      return { model_stats: modelsAskedFor(repository, model, version).map(statisticsOf) };
    });
  }
}

function modelsAskedFor(
  repository: ModelRepository,
  name: string | undefined,
  version: string | undefined,
): LoadedModel[] {
  const models = repository
    .residentModels()
    .filter((model) => (name ?? model.name) === model.name && (version ?? model.version) === model.version);
  if (models.length > 0 || name === undefined) return models;
  const asked = version === undefined ? `model ${name}` : `version ${version} of model ${name}`;
  throw new ServiceError('model_not_found', `Request for unknown model: ${asked} is not in memory here`);
}

function statisticsOf({ name, version, statistics }: LoadedModel): object {
  return {
    name,
    version,
    last_inference: statistics.lastInference,
    inference_count: statistics.inferenceCount,
    execution_count: statistics.executionCount,
    inference_stats: {
      success: durationOf(statistics.success),
      fail: durationOf(statistics.fail),
      queue: durationOf(statistics.queue),
      ...partsOf(statistics.compute),
      cache_hit: durationOf(statistics.cacheHit),
      cache_miss: durationOf(statistics.cacheMiss),
    },
    response_stats: {},
    batch_stats: batchesOf(statistics),
    memory_usage: [],
  };
}

function batchesOf({ batches }: ModelStatistics): object[] {
  return [...batches]
    .sort(([a], [b]) => a - b)
    .map(([rows, run]) => ({
      batch_size: rows,
      ...partsOf(run),
    }));
}

function partsOf({ input, infer, output }: RunDurations): object {
  return { compute_input: durationOf(input), compute_infer: durationOf(infer), compute_output: durationOf(output) };
}

function durationOf({ count, ns }: Duration): { count: number; ns: number } {
  return { count, ns: Math.round(ns) };
}
