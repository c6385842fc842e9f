/** How an inference benchmark asks. */
export type InferForm = 'predict' | 'batch_predict' | 'infer json' | 'infer binary';

/** Requests for one model's only input. */
export interface InferKind {
  readonly form: InferForm;
  readonly model: string;
  readonly input: string;
  readonly datatype: 'FP32' | 'INT32';
  /** Shape of one row, its first axis 1. */
  readonly shape: readonly number[];
  readonly rows: number;
}

/** Elements of every row that make it another one: two digits each. */
const PATCHED = 5;
const ELEMENT_BYTES = 4;

/**
 * A request that becomes another one by overwriting a few of its digits or bytes: every row of the n-th request differs
 * from every row of every other, so that none is in a cache.
 */
export class InferTemplate {
  readonly #bytes: Buffer;
  readonly #kind: InferKind;
  /** Where the patched elements of each row are in turn. */
  readonly #offsets: readonly number[];

  constructor(kind: InferKind) {
    this.#kind = kind;
    const { head, body } = kind.form === 'infer binary' ? binaryRequest(kind) : jsonRequest(kind);
    this.#bytes = Buffer.concat([Buffer.from(head), body]);
    this.#offsets = kind.form === 'infer binary' ? this.#binaryOffsets() : this.#textOffsets(head.length);
  }

  /** A copy, for one connection to send. */
  copy(): Buffer {
    return Buffer.from(this.#bytes);
  }

  /** Makes a copy the n-th request. */
  patch(copy: Buffer, n: number): void {
    const { datatype, form, rows } = this.#kind;
    for (let row = 0; row < rows; row += 1) {
      let rest = n * rows + row;
      for (let i = 0; i < PATCHED; i += 1) {
        const digits = 10 + (rest % 90);
        rest = Math.floor(rest / 90);
        const at = this.#offsets[row * PATCHED + i] ?? 0;
        if (form !== 'infer binary') copy.write(String(digits), at, 'latin1');
        else if (datatype === 'FP32') copy.writeFloatLE(digits / 100, at);
        else copy.writeInt32LE(digits, at);
      }
    }
  }

  #binaryOffsets(): number[] {
    const { rows, shape } = this.#kind;
    const width = elements(shape);
    const start = this.#bytes.length - rows * width * ELEMENT_BYTES;
    return Array.from({ length: rows * PATCHED }, (_, i) => {
      const element = Math.floor(i / PATCHED) * width + (i % PATCHED);
      return start + element * ELEMENT_BYTES;
    });
  }

  /** The elements to patch are written so that nothing else in the text looks like them. */
  #textOffsets(from: number): number[] {
    const offsets: number[] = [];
    const marker = this.#kind.datatype === 'FP32' ? '0.77' : '77';
    for (let at = this.#bytes.indexOf(marker, from); at !== -1; at = this.#bytes.indexOf(marker, at + 1)) {
      offsets.push(at + marker.length - 2);
    }
    return offsets;
  }
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, axis) => product * axis, 1);
}

/** Elements of one row as they stand in JSON. */
function rowText({ datatype, shape }: InferKind): string {
  const [marker, other] = datatype === 'FP32' ? ['0.77', '0.25'] : ['77', '32'];
  return Array.from({ length: elements(shape) }, (_, i) => (i < PATCHED ? marker : other)).join(',');
}

function jsonRequest(kind: InferKind): { head: string; body: Buffer } {
  const { form, model, input, datatype, shape, rows } = kind;
  const row = rowText(kind);
  const all = Array.from({ length: rows }, () => row);
  const name = JSON.stringify(model);
  const tensor = `"name":${JSON.stringify(input)},"datatype":"${datatype}","shape":${JSON.stringify([rows, ...shape.slice(1)])}`;
  const texts: Readonly<Record<Exclude<InferForm, 'infer binary'>, [string, string]>> = {
    predict: ['/predict', `{"features":[${row}],"model":${name}}`],
    batch_predict: ['/batch_predict', `{"features":[${all.map((each) => `[${each}]`).join(',')}],"model":${name}}`],
    'infer json': [`/v2/models/${model}/infer`, `{"inputs":[{${tensor},"data":[${all.join(',')}]}]}`],
  };
  const [path, text] = texts[form as Exclude<InferForm, 'infer binary'>];
  return { head: headOf(path, text.length, 'content-type: application/json\r\n'), body: Buffer.from(text) };
}

function binaryRequest({ model, input, datatype, shape, rows }: InferKind): { head: string; body: Buffer } {
  const width = elements(shape);
  const data = Buffer.alloc(rows * width * ELEMENT_BYTES);
  for (let i = 0; i < rows * width; i += 1) {
    if (datatype === 'FP32') data.writeFloatLE(0.25, i * ELEMENT_BYTES);
    else data.writeInt32LE(32, i * ELEMENT_BYTES);
  }
  const json = JSON.stringify({
    inputs: [
      { name: input, datatype, shape: [rows, ...shape.slice(1)], parameters: { binary_data_size: data.length } },
    ],
    parameters: { binary_data_output: true },
  });
  const fields = `content-type: application/octet-stream\r\ninference-header-content-length: ${json.length}\r\n`;
  return {
    head: headOf(`/v2/models/${model}/infer`, json.length + data.length, fields),
    body: Buffer.concat([Buffer.from(json), data]),
  };
}

function headOf(path: string, bytes: number, fields: string): string {
  return `POST ${path} HTTP/1.1\r\nhost: bench\r\n${fields}content-length: ${bytes}\r\n\r\n`;
}
