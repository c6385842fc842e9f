import { writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { messageOf } from './errors';
import { WORKER_DESCRIPTOR } from './inference/execution/worker-command';
import { serveFrames } from './inference/execution/worker-loop';

/*
 * The program of a worker process: runs models for the edge service that started it, and ends with it.
 */

/** How often a worker looks whether its parent is still there, ms. */
const PARENT_CHECK_MS = 500;

/**
 * Ends the process when its parent has died. Reading notices that by itself, but not while a model runs, and a run may
 * be endless; ONNX Runtime blocks this thread only, so another one watches.
 */
function endWithParent(): void {
  const watch = `
    const { workerData: parent } = require('node:worker_threads');
    setInterval(() => {
      if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
    }, ${PARENT_CHECK_MS});
  `;
  new Worker(watch, { eval: true, workerData: Number(process.argv[2]), execArgv: [], env: {} }).unref();
}

/** When memory runs out, the kernel shall take a worker, which is replaced, and not the service. */
function offerToOutOfMemoryKiller(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // Linux alone has it, and a container may forbid it; then the kernel chooses.
  }
}

// Ctrl-C reaches every process of the terminal, but the service still answers what has arrived, with its workers.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
offerToOutOfMemoryKiller();
endWithParent();
serveFrames(WORKER_DESCRIPTOR).then(
  () => process.exit(0),
  (error: unknown) => {
    // EPIPE: the service went away while a model ran.
    process.stderr.write(`model worker: ${messageOf(error)}\n`);
    process.exit(1);
  },
);
