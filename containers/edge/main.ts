import pino from 'pino';
import { collectDefaultMetrics } from 'prom-client';
import { ConfigError, type EdgeConfig, ecsTaskId, readConfig } from './config';
import { messageOf } from './errors';
import { createEdgeService, type EdgeService } from './service';

/** Time between turning `/health` to 503 and refusing connections, so that a load balancer can notice, ms. */
const DRAIN_MS = 1_000;
/** Longest time that stopping may take; below the task's stop timeout, or ECS would kill requests half answered, ms. */
const STOP_MS = 30_000;

async function main(): Promise<void> {
  const config = readConfig({ ...process.env, TASK_ID: process.env.TASK_ID ?? (await ecsTaskId(process.env)) });
  const log = pino({ level: config.logLevel, base: { region: config.region, task: config.taskId } });
  const service = await createEdgeService(config, log);
  collectDefaultMetrics({ register: service.metrics.registry });
  stopOnSignals(service, log);
  await listen(service, config);
}

async function listen(service: EdgeService, config: EdgeConfig): Promise<void> {
  try {
    await service.app.listen({ port: config.port, host: config.host });
  } catch (error) {
    await service.close();
    throw new ConfigError(`PORT=${config.port}: cannot listen there: ${messageOf(error)}`, { cause: error });
  }
}

function stopOnSignals(service: EdgeService, log: pino.Logger): void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, 'stopping');
    service.drain();
    setTimeout(() => {
      log.error({ afterMs: STOP_MS }, 'requests were still running when the time to stop was over');
      process.exit(1);
    }, STOP_MS).unref();
    setTimeout(async () => {
      await service.close().catch((error: unknown) => log.error({ err: error }, 'stopped uncleanly'));
      process.exit(0);
    }, DRAIN_MS);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exit(1);
});
