/**
 * The text format of Protocol Buffers as `config.pbtxt` uses it: fields with numbers, texts, booleans, names, messages in
 * braces and lists in brackets. https://protobuf.dev/reference/protobuf/textformat-spec/
 */

/** A message: for each field everything given for it, since any field may be repeated. */
export type TextMessage = ReadonlyMap<string, readonly TextValue[]>;

/** A value: texts, numbers and names as they are written, without quotes. */
export type TextValue = string | TextMessage;

const TOKEN = /\s+|#[^\n]*|[{}[\]<>:,;]|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[-+.\w]+/gy;

/** Reads a message. Throws an Error that says in which line it stopped. */
export function parseTextFormat(text: string): TextMessage {
  return readFields(new TokenReader(text), undefined);
}

function readFields(reader: TokenReader, close: string | undefined): TextMessage {
  const fields = new Map<string, TextValue[]>();
  while (reader.peek() !== close) {
    const name = reader.next();
    if (name === undefined || !/^[A-Za-z_]\w*$/.test(name)) throw reader.unexpected(name, 'the name of a field');
    const hasColon = reader.take(':');
    const values = fields.get(name) ?? [];
    values.push(...readValues(reader, hasColon));
    fields.set(name, values);
    if (!reader.take(',')) reader.take(';');
  }
  reader.next();
  return fields;
}

function readValues(reader: TokenReader, hasColon: boolean): TextValue[] {
  if (!reader.take('[')) return [readValue(reader, hasColon)];
  const values: TextValue[] = [];
  while (!reader.take(']')) {
    values.push(readValue(reader, true));
    if (!reader.take(',') && reader.peek() !== ']') throw reader.unexpected(reader.next(), '"," or "]"');
  }
  return values;
}

function readValue(reader: TokenReader, mayBeScalar: boolean): TextValue {
  const token = reader.next();
  if (token === '{') return readFields(reader, '}');
  if (token === '<') return readFields(reader, '>');
  if (!mayBeScalar || token === undefined || /^[}\]>:,;]$/.test(token)) {
    throw reader.unexpected(token, mayBeScalar ? 'a value' : '":" or "{"');
  }
  return unquoted(token);
}

function unquoted(token: string): string {
  return /^["']/.test(token) ? token.slice(1, -1).replace(/\\(.)/g, '$1') : token;
}

class TokenReader {
  readonly #tokens: { readonly token: string; readonly line: number }[] = [];
  #at = 0;

  constructor(text: string) {
    const pattern = new RegExp(TOKEN);
    let line = 1;
    while (pattern.lastIndex < text.length) {
      const from = pattern.lastIndex;
      const token = pattern.exec(text)?.[0];
      if (token === undefined)
        throw new Error(`line ${line}: ${JSON.stringify(text.slice(from, from + 20))} is no token`);
      if (!/^[\s#]/.test(token)) this.#tokens.push({ token, line });
      line += token.split('\n').length - 1;
    }
  }

  peek(): string | undefined {
    return this.#tokens[this.#at]?.token;
  }

  next(): string | undefined {
    this.#at += 1;
    return this.#tokens[this.#at - 1]?.token;
  }

  take(token: string): boolean {
    if (this.peek() !== token) return false;
    this.#at += 1;
    return true;
  }

  unexpected(token: string | undefined, expected: string): Error {
    const line = (this.#tokens[this.#at - 1] ?? this.#tokens.at(-1))?.line ?? 1;
    return new Error(
      `line ${line}: expected ${expected}, got ${token === undefined ? 'the end' : JSON.stringify(token)}`,
    );
  }
}
