import { type FileHandle, open } from 'node:fs/promises';
import { RefusedModel } from './refused-model';

/** What is read of an ONNX file before ONNX Runtime opens it. */
export interface OnnxFileFacts {
  /** Places of tensors kept outside the file, as the file names them: relative to its directory, if it means well. */
  readonly externalLocations: ReadonlySet<string>;
  /** Names of all operators, those of subgraphs and functions among them. */
  readonly operators: ReadonlySet<string>;
}

type MessageName = 'Model' | 'TrainingInfo' | 'Function' | 'Graph' | 'Node' | 'Attribute' | 'SparseTensor' | 'Tensor';

/**
 * Fields, by number, through which a tensor or an operator can be reached; everything else, weights above all, is
 * skipped unread. https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
 */
const MESSAGES: Readonly<Record<MessageName, Readonly<Record<number, MessageName | 'operator' | 'external data'>>>> = {
  Model: { 7: 'Graph', 20: 'TrainingInfo', 25: 'Function' },
  TrainingInfo: { 1: 'Graph', 2: 'Graph' },
  Function: { 7: 'Node', 11: 'Attribute' },
  Graph: { 1: 'Node', 5: 'Tensor', 15: 'SparseTensor' },
  Node: { 4: 'operator', 5: 'Attribute' },
  Attribute: { 5: 'Tensor', 6: 'Graph', 10: 'Tensor', 11: 'Graph', 22: 'SparseTensor', 23: 'SparseTensor' },
  SparseTensor: { 1: 'Tensor', 2: 'Tensor' },
  Tensor: { 13: 'external data' },
};

/** Protocol Buffers' own parsers refuse deeper messages too. */
const MAX_DEPTH = 100;
/** A tag and a length, each a varint of at most 10 bytes. */
const FIELD_HEAD_BYTES = 20;
const MAX_TEXT_BYTES = 4096;
const WINDOW_BYTES = 64 * 1024;

/**
 * Reads which operators and external files an ONNX file names, through a window of 64 KiB however large the file is.
 * Throws `RefusedModel` when it is not a whole protobuf message.
 */
export async function readOnnxFile(path: string): Promise<OnnxFileFacts> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const found = { externalLocations: new Set<string>(), operators: new Set<string>() };
    const window = new Window(file, size);
    const walk = walkMessage(window, 'Model', size, 0, found);
    for (let step = walk.next(); step.done !== true; step = walk.next()) await window.fill(step.value);
    return found;
  } finally {
    await file.close();
  }
}

interface Found {
  readonly externalLocations: Set<string>;
  readonly operators: Set<string>;
}

/** Walks one message up to `end`; yields the number of bytes that it needs next whenever they are not in the window. */
function* walkMessage(
  window: Window,
  name: MessageName,
  end: number,
  depth: number,
  found: Found,
): Generator<number, void> {
  if (depth > MAX_DEPTH) throw window.broken(`messages are nested more than ${MAX_DEPTH} deep`);
  while (window.position < end) {
    if (!window.holds(FIELD_HEAD_BYTES)) yield FIELD_HEAD_BYTES;
    const tag = window.varint(end);
    const wireType = tag % 8;
    if (wireType === 0) window.varint(end);
    else if (wireType === 1) window.skip(8, end);
    else if (wireType === 5) window.skip(4, end);
    else if (wireType !== 2) throw window.broken(`wire type ${wireType} is not one of ONNX`);
    else {
      const fieldEnd = window.endOf(window.varint(end), end);
      const child = MESSAGES[name][Math.floor(tag / 8)];
      if (child === undefined) window.skip(fieldEnd - window.position, end);
      else if (child === 'operator') found.operators.add(yield* readText(window, fieldEnd));
      else if (child === 'external data') yield* readExternalData(window, fieldEnd, found);
      else yield* walkMessage(window, child, fieldEnd, depth + 1, found);
    }
  }
}

/** A `StringStringEntryProto`: key 1, value 2. Only `location` names a file; the rest says where in it. */
function* readExternalData(window: Window, end: number, found: Found): Generator<number, void> {
  const texts = new Map<number, string>();
  while (window.position < end) {
    if (!window.holds(FIELD_HEAD_BYTES)) yield FIELD_HEAD_BYTES;
    const tag = window.varint(end);
    if (tag % 8 !== 2) throw window.broken('an entry of external_data is not a pair of texts');
    texts.set(Math.floor(tag / 8), yield* readText(window, window.endOf(window.varint(end), end)));
  }
  if (texts.get(1) === 'location') found.externalLocations.add(texts.get(2) ?? '');
}

function* readText(window: Window, end: number): Generator<number, string> {
  const length = end - window.position;
  if (length > MAX_TEXT_BYTES) throw window.broken(`a name has ${length} bytes, more than ${MAX_TEXT_BYTES}`);
  if (!window.holds(length)) yield length;
  return window.text(length);
}

/** The part of a file that is being read. */
class Window {
  position = 0;
  readonly #file: FileHandle;
  readonly #size: number;
  readonly #bytes = Buffer.alloc(WINDOW_BYTES);
  #start = 0;
  #length = 0;

  constructor(file: FileHandle, size: number) {
    this.#file = file;
    this.#size = size;
  }

  /** Whether the next bytes, or all that are left of the file, are here. */
  holds(bytes: number): boolean {
    const wanted = Math.min(this.position + bytes, this.#size);
    return this.position >= this.#start && wanted <= this.#start + this.#length;
  }

  /** Reads on from the position, at least `bytes` unless the file ends. */
  async fill(bytes: number): Promise<void> {
    this.#start = this.position;
    this.#length = 0;
    while (!this.holds(bytes)) {
      const { bytesRead } = await this.#file.read(
        this.#bytes,
        this.#length,
        WINDOW_BYTES - this.#length,
        this.#start + this.#length,
      );
      if (bytesRead === 0) throw this.broken('the file became shorter while it was read');
      this.#length += bytesRead;
    }
  }

  varint(end: number): number {
    let value = 0;
    for (let i = 0, factor = 1; i < 10; i += 1, factor *= 128) {
      if (this.position >= end) throw this.broken('it ends inside a number');
      const byte = this.#bytes[this.position - this.#start] ?? 0;
      this.position += 1;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    throw this.broken('a number has more than 10 bytes');
  }

  /** Where a field of this length ends. */
  endOf(length: number, end: number): number {
    const fieldEnd = this.position + length;
    if (fieldEnd > end) throw this.broken(`${length} bytes should follow, and ${end - this.position} are left`);
    return fieldEnd;
  }

  skip(bytes: number, end: number): void {
    this.position = this.endOf(bytes, end);
  }

  text(length: number): string {
    const from = this.position - this.#start;
    this.position += length;
    return this.#bytes.toString('utf8', from, from + length);
  }

  broken(what: string): RefusedModel {
    return new RefusedModel(`model.onnx is not a whole ONNX file: at byte ${this.position} of ${this.#size}, ${what}`);
  }
}
