import { cpSync, existsSync, lstatSync, mkdirSync, readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Elf, readElf } from './elf';

/** Directories in which the loader of Debian looks for the libraries of an architecture. */
const LIBRARY_DIRECTORIES: Readonly<Record<string, readonly string[]>> = {
  arm64: ['usr/lib/aarch64-linux-gnu', 'usr/lib'],
  x64: ['usr/lib/x86_64-linux-gnu', 'usr/lib', 'usr/lib64'],
};

/** An ELF file of a root file system, by its path in it. */
export interface NativeFile extends Elf {
  readonly path: string;
  readonly bytes: number;
}

/** Every ELF file below a directory; symbolic links are not followed. */
export function nativeFiles(root: string, below = ''): NativeFile[] {
  return readdirSync(join(root, below)).flatMap((name) => {
    const path = join(below, name);
    const stat = lstatSync(join(root, path));
    if (stat.isDirectory()) return nativeFiles(root, path);
    if (!stat.isFile()) return [];
    const elf = readElf(join(root, path));
    return elf ? [{ ...elf, path, bytes: stat.size }] : [];
  });
}

/**
 * Copies into `root` every shared library that the ELF files there are linked against, from an unpacked Debian of their
 * architecture, and the libraries of these, as `ldd` would find them: but nothing of the foreign architecture is run.
 * @throws Error naming file and library for one that is in neither
 */
export function copyLibraries(root: string, debian: string, architecture: string): void {
  const pending = nativeFiles(root);
  const present = new Set(pending.map(({ path }) => basename(path)));
  for (let file = pending.pop(); file; file = pending.pop()) {
    // The kernel looks for the loader at the path that the program says, not by name.
    const loader = file.interpreter === undefined ? [] : [loaderPlace(file.interpreter)];
    const places = file.needed
      .filter((name) => !present.has(name))
      .map((name) => findLibrary(debian, name, architecture) ?? name);
    for (const place of [...loader, ...places]) {
      const library = basename(place);
      if (!existsSync(join(debian, place)) || place === library) {
        throw new Error(`${file.path} needs ${library}, which is not in ${debian}`);
      }
      mkdirSync(join(root, dirname(place)), { recursive: true });
      cpSync(realpathSync(join(debian, place)), join(root, place));
      present.add(library);
      const elf = readElf(join(root, place));
      if (elf) pending.push({ ...elf, path: place, bytes: 0 });
    }
  }
}

/** Where a loader lies in a merged file system: `/lib` is `/usr/lib` there. */
export function loaderPlace(interpreter: string): string {
  return join('usr', interpreter.replace(/^\/usr\//, ''));
}

function findLibrary(debian: string, name: string, architecture: string): string | undefined {
  return (LIBRARY_DIRECTORIES[architecture] ?? [])
    .map((directory) => join(directory, name))
    .find((path) => existsSync(join(debian, path)));
}
