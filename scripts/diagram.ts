/**
 * Draws the architecture from the synthesized templates: `npm run diagram -- ASSEMBLY_DIR OUT.svg`.
 * Every box and arrow is read off a resource or a reference in it, so the picture shows what would be deployed.
 */
import { writeFileSync } from 'node:fs';
import { readCheckedAssembly } from '../lib/checks/assembly';
import { architectureOf } from './diagram/architecture';
import { layoutOf } from './diagram/layout';
import { toSvg } from './diagram/svg';

function main([assembly, out]: readonly string[]): void {
  if (!assembly || !out) throw new Error('usage: npm run diagram -- ASSEMBLY_DIR OUT.svg');
  writeFileSync(out, toSvg(layoutOf(architectureOf(readCheckedAssembly(assembly)))));
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
