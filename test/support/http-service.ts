import type { AddressInfo } from 'node:net';
import pino from 'pino';
import { type OpenEdgeCache, openEdgeCache } from '../../containers/edge/cache';
import { createApp } from '../../containers/edge/http/app';
import { HTTP_LIMITS, type HttpLimits } from '../../containers/edge/http/limits';
import { FolderSource } from '../../containers/edge/inference/folder-source';
import { ModelRepository } from '../../containers/edge/inference/model-repository';
import { Predictor } from '../../containers/edge/inference/predictor';
import { createMetrics, type Metrics } from '../../containers/edge/metrics';

/** The HTTP side of an edge service with the parts that a test takes hold of. */
export interface HttpService {
  readonly url: string;
  readonly repository: ModelRepository;
  readonly predictor: Predictor;
  readonly cache: OpenEdgeCache['cache'];
  readonly metrics: Metrics;
  stop(): Promise<void>;
}

/** Serves the versions of `tiny` in a folder, the last of them live, from the memory tier alone. */
export async function startHttpService(
  folder: string,
  versions: readonly string[],
  limits: Partial<HttpLimits> = {},
): Promise<HttpService> {
  const log = pino({ level: 'silent' });
  const open = await openEdgeCache({
    memoryMaxBytes: 1024 * 1024,
    taskId: 'test',
    region: 'eu-west-1',
    report: () => ({ channels: {}, models: {} }),
    onControlMessage: () => undefined,
    log,
  });
  const repository = new ModelRepository({ source: new FolderSource(folder), log, retryDelaysMs: [] });
  for (const version of versions) {
    await repository.prepare('tiny', version);
    repository.activate('tiny', version, versions);
  }
  const predictor = new Predictor(open.cache);
  const metrics = createMetrics('eu-west-1', { stats: () => open.cache.stats() });
  const context = {
    region: 'eu-west-1',
    defaultModel: undefined,
    httpCache: undefined,
    repository,
    predictor,
    metrics,
    unavailableReason: () => undefined,
  };
  const app = createApp(context, log, { ...HTTP_LIMITS, ...limits });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    repository,
    predictor,
    cache: open.cache,
    metrics,
    async stop() {
      await app.close();
      repository.close();
      await open.close();
    },
  };
}
