import { dirname, extname, join } from 'node:path';

/** The descriptor on which a worker talks with the service. */
export const WORKER_DESCRIPTOR = 3;

/** How a worker process is started; its arguments are followed by the id of the process that starts it. */
export interface WorkerCommand {
  readonly program: string;
  readonly args: readonly string[];
}

/** The worker that belongs to the running program: `worker` beside it, under the same Node with the same loaders. */
export function ownWorkerCommand(): WorkerCommand {
  const [, main = ''] = process.argv;
  // A second debugger could not have the first one's port.
  const options = process.execArgv.filter((option) => !option.startsWith('--inspect'));
  return {
    program: process.execPath,
    args: [...options, '--expose-gc', join(dirname(main), `worker${extname(main)}`)],
  };
}

/** Variables that a worker is given. It runs files that others have made, so it gets no credentials and no addresses. */
const PASSED_VARIABLES =
  /^(PATH|LANG|LC_[A-Z]+|TZ|TMPDIR|NODE_OPTIONS|NODE_ENV|LD_LIBRARY_PATH|ORT_DISABLE_TELEMETRY)$/;

/** The environment of a worker. */
export function workerEnvironment(own: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(own).filter(([name]) => PASSED_VARIABLES.test(name)));
}
