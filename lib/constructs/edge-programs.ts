import { bundleText } from './bundle';

/** Entry points below `containers/edge` by the program that the image has of each. */
const ENTRIES = { server: 'main.ts', worker: 'worker.ts' } as const;

/** Programs of the edge image, each one bundled file: the service and, in processes that it starts, its model workers. */
export type EdgeProgram = keyof typeof ENTRIES;

export const EDGE_PROGRAMS = Object.keys(ENTRIES) as EdgeProgram[];

/** The text of one program. */
export function bundleEdgeProgram(program: EdgeProgram): string {
  return bundleText(`containers/edge/${ENTRIES[program]}`, {
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    // Native code: installed in the image for its platform.
    external: ['onnxruntime-node'],
  });
}
