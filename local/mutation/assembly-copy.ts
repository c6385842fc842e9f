import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readAssembly } from '../engine/assembly';
import type { Mutant, SourceTemplate } from './mutants';

/** An assembly whose templates can be changed; its assets are the original's. */
export class AssemblyCopy {
  readonly templates: readonly SourceTemplate[];

  constructor(
    original: string,
    readonly directory: string,
  ) {
    rmSync(directory, { recursive: true, force: true });
    copyManifests(resolve(original), directory);
    this.templates = templatesIn(directory, '');
    readAssembly(directory);
  }

  /** Runs `work` while the mutant's template stands in place of the original. */
  async with<T>({ file, content }: Mutant, work: () => Promise<T>): Promise<T> {
    const path = join(this.directory, file);
    const original = readFileSync(path);
    writeFileSync(path, JSON.stringify(content));
    try {
      return await work();
    } finally {
      writeFileSync(path, original);
    }
  }
}

function copyManifests(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.name.startsWith('assembly-')) copyManifests(source, target);
    else if (entry.isDirectory() || entry.name.startsWith('asset.')) symlinkSync(source, target);
    else if (entry.name.endsWith('.json')) copyFileSync(source, target);
  }
}

function templatesIn(directory: string, below: string): SourceTemplate[] {
  return readdirSync(join(directory, below), { withFileTypes: true }).flatMap((entry) => {
    const file = join(below, entry.name);
    if (entry.isDirectory()) return templatesIn(directory, file);
    if (!entry.name.endsWith('.template.json')) return [];
    const content = JSON.parse(readFileSync(join(directory, file), 'utf8')) as SourceTemplate['content'];
    return [{ file, stackName: entry.name.replace(/[0-9A-F]{8}\.template\.json$/, ''), content }];
  });
}
