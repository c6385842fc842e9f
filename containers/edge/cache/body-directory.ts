import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type BodyLayout, readLayout } from './body-file';

const BODY_NAME = /^([0-9a-f]{64})\.body$/;

/** Path of a body's file. Throws a RangeError where `id` is none. */
export function bodyPath(directory: string, id: string): string {
  const name = `${id}.body`;
  if (!BODY_NAME.test(name)) throw new RangeError(`body id is ${id}; it must be 64 hexadecimal digits`);
  return join(directory, name);
}

/** A body's file, opened to be read. */
export interface OpenedFile {
  readonly file: FileHandle;
  /** `undefined` when the file is damaged. */
  readonly layout: BodyLayout | undefined;
}

/** Rejects where there is no such file. */
export async function openBodyFile(path: string, id: string): Promise<OpenedFile> {
  const file = await open(path, 'r');
  return { file, layout: await readLayout(file, id).catch(() => undefined) };
}

/** A body that an earlier process has left. */
export interface InheritedBody {
  readonly id: string;
  /** Size of its file. */
  readonly bytes: number;
  /** ms since 1970. */
  readonly modified: number;
}

/** What the file of a name in a directory of bodies is; `undefined` where it holds none. */
export async function inheritedBody(directory: string, name: string): Promise<InheritedBody | undefined> {
  const id = BODY_NAME.exec(name)?.[1];
  if (id === undefined) return undefined;
  const { size, mtimeMs } = await stat(join(directory, name)).catch(() => ({ size: 0, mtimeMs: 0 }));
  return size > 0 ? { id, bytes: size, modified: mtimeMs } : undefined;
}
