import { resolve } from 'node:path';
import { build } from 'esbuild';

/** Bundles a program as the container's image bundles the service; resolves to the file that Node runs. */
export async function bundle(entry: string, name: string): Promise<string> {
  const outfile = resolve('.build', 'bench', `${name}.cjs`);
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['onnxruntime-node'],
    logLevel: 'error',
  });
  return outfile;
}
