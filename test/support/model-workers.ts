import { join } from 'node:path';
import type { WorkerCommand } from '../../containers/edge/inference/execution/worker-command';
import { BUILD_DIRECTORY, writeIfChanged } from '../../lib/constructs/bundle';
import { bundleEdgeProgram } from '../../lib/constructs/edge-programs';

let command: WorkerCommand | undefined;

/** How tests start model workers: the worker's program as the container's image has it. */
export function testWorkerCommand(): WorkerCommand {
  if (command === undefined) {
    const program = join(BUILD_DIRECTORY, 'test', 'worker.js');
    writeIfChanged(program, bundleEdgeProgram('worker'));
    command = { program: process.execPath, args: ['--expose-gc', program] };
  }
  return command;
}
