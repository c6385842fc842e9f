import { closeSync, openSync, readSync } from 'node:fs';

/** Machines by their number in an ELF header (`e_machine`), with Node's name of the architecture. */
const MACHINES: ReadonlyMap<number, string> = new Map([
  [62, 'x64'],
  [183, 'arm64'],
]);

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NULL = 0n;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;

/** What an executable or a shared library asks of the system that loads it. */
export interface Elf {
  /** Architecture as Node names it, or `machine <number>`. */
  readonly architecture: string;
  /** Path of the loader; absent for libraries. */
  readonly interpreter: string | undefined;
  /** Names of the shared libraries that it is linked against. */
  readonly needed: readonly string[];
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

/**
 * Reads the header of a 64-bit little-endian ELF file; `undefined` for anything else.
 * Format: System V Application Binary Interface, chapters 4 and 5.
 */
export function readElf(path: string): Elf | undefined {
  const file = openSync(path, 'r');
  try {
    const at = (offset: number, size: number) => {
      const bytes = Buffer.alloc(size);
      return bytes.subarray(0, readSync(file, bytes, 0, size, offset));
    };
    const header = at(0, 64);
    const isElf = header.length === 64 && header.subarray(0, 6).equals(Buffer.from('\x7fELF\x02\x01', 'latin1'));
    if (!isElf) return undefined;
    const segments = segmentsOf(header, at);
    const machine = header.readUInt16LE(18);
    const interpreter = segments.find(({ type }) => type === PT_INTERP);
    return {
      architecture: MACHINES.get(machine) ?? `machine ${machine}`,
      interpreter: interpreter && textAt(at(interpreter.offset, interpreter.size), 0),
      needed: neededBy(segments, at),
    };
  } finally {
    closeSync(file);
  }
}

function segmentsOf(header: Buffer, at: (offset: number, size: number) => Buffer): Segment[] {
  const [start, size, count] = [Number(header.readBigUInt64LE(32)), header.readUInt16LE(54), header.readUInt16LE(56)];
  const table = at(start, size * count);
  return Array.from({ length: count }, (_, index) => {
    const row = table.subarray(index * size, (index + 1) * size);
    return {
      type: row.readUInt32LE(0),
      offset: Number(row.readBigUInt64LE(8)),
      address: Number(row.readBigUInt64LE(16)),
      size: Number(row.readBigUInt64LE(32)),
    };
  });
}

function neededBy(segments: readonly Segment[], at: (offset: number, size: number) => Buffer): string[] {
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  if (!dynamic) return [];
  const table = at(dynamic.offset, dynamic.size);
  const entries: { tag: bigint; value: number }[] = [];
  for (let row = 0; row + 16 <= table.length; row += 16) {
    const tag = table.readBigInt64LE(row);
    if (tag === DT_NULL) break;
    entries.push({ tag, value: Number(table.readBigUInt64LE(row + 8)) });
  }
  const strings = entries.find(({ tag }) => tag === DT_STRTAB)?.value ?? 0;
  // The table of names is given by its address in memory; the segment that holds it says where that is in the file.
  const home = segments.find(
    ({ type, address, size }) => type === PT_LOAD && strings >= address && strings < address + size,
  );
  if (!home) return [];
  const offset = home.offset + strings - home.address;
  return entries.filter(({ tag }) => tag === DT_NEEDED).map(({ value }) => textAt(at(offset + value, 256), 0));
}

function textAt(bytes: Buffer, start: number): string {
  const end = bytes.indexOf(0, start);
  return bytes.toString('latin1', start, end === -1 ? bytes.length : end);
}
