import { bundle } from './bundle';
import { freePort, type Started, startProcess, untilListening } from './processes';

/** The image's; its Dockerfile says why. */
export const NODE_OPTIONS_OF_IMAGE = ['--max-semi-space-size=16'];

/** How an edge service is started. */
export interface EdgeOptions {
  /** Beside the port, the log level and what the image sets; these can be replaced. */
  readonly env: Readonly<Record<string, string>>;
  /** Core to run on; anywhere by default. */
  readonly core?: number;
}

/** The edge service in a process of its own. */
export interface EdgeProcess extends Started {
  readonly port: number;
}

/** Starts the edge service and its model workers, bundled and with the options of its image, and waits until it listens. */
export async function startEdgeProcess({ env, core }: EdgeOptions): Promise<EdgeProcess> {
  const port = await freePort();
  // The service looks for it beside itself.
  await bundle('containers/edge/worker.ts', 'worker');
  const service = await bundle('containers/edge/main.ts', 'edge');
  const started = startProcess(process.execPath, [...NODE_OPTIONS_OF_IMAGE, service], {
    core,
    env: { PORT: `${port}`, LOG_LEVEL: 'warn', NODE_ENV: 'production', ORT_DISABLE_TELEMETRY: '1', ...env },
  });
  await untilListening(port, started);
  return { ...started, port };
}
