import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, startProcess, untilListening } from '../support/processes';
import type { Start } from '.';

/** The edge service in a process of its own: memory and disk tiers, no Redis, no models unless `env` says so. */
export const startEdge: Start = async (folder, options) => {
  const port = await freePort();
  const models = join(folder, 'models');
  const disk = join(folder, 'disk');
  await Promise.all([mkdir(models), mkdir(disk)]);
  const started = startProcess(process.execPath, ['--import', 'tsx', join('containers', 'edge', 'main.ts')], {
    core: options.core,
    env: {
      PORT: `${port}`,
      REGION: 'us-east-1',
      LOG_LEVEL: 'warn',
      ORIGIN_URL: `http://127.0.0.1:${options.originPort}`,
      MODELS_DIR: models,
      DISK_CACHE_DIR: disk,
      ORT_DISABLE_TELEMETRY: '1',
      ...options.env,
    },
  });
  await untilListening(port, started);
  return { port, started };
};
