/**
 * Bundles bench/NAME.ts as the container's image bundles the service, and runs it: a loader that translates at run time
 * (tsx) wraps every closure and would make the measured code slower than what is deployed.
 *
 *   node bench/run.mjs engine --seconds 2
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const [name, ...args] = process.argv.slice(2);
const outfile = join('.build', 'bench', `${name}.mjs`);
await build({
  entryPoints: [join('bench', `${name}.ts`)],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  logLevel: 'error',
});
process.argv.splice(1, process.argv.length - 1, outfile, ...args);
await import(pathToFileURL(outfile).href);
