/** Field lines as they may stand in a block that is read here: a token, a colon, a value without control characters. */
const FIELD_LINE =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*$/;

/** Lengths that are read here; longer ones are beyond every limit anyway. */
const LENGTH = /^\d{1,9}$/;

/** Fields by which a message's end or a connection's use is no longer told by `Content-Length` alone. */
const FRAMING_FIELDS: ReadonlySet<string> = new Set(['transfer-encoding', 'expect', 'upgrade', 'trailer', 'te']);

/** The header fields of a request whose framing is beyond doubt: at most one `Content-Length`, nothing else. */
export class RequestHead {
  /** Names as they were sent, and values, in turn. */
  readonly rawHeaders: readonly string[];
  /** `Content-Length`; `undefined` without one. */
  readonly contentLength: number | undefined;
  readonly #values: ReadonlyMap<string, string>;
  #fields: Readonly<Record<string, string>> | undefined = undefined;
  /** Whether a field came in several lines. */
  readonly repeats: boolean;

  private constructor(rawHeaders: readonly string[], values: ReadonlyMap<string, string>, repeats: boolean) {
    this.rawHeaders = rawHeaders;
    this.#values = values;
    this.repeats = repeats;
    const length = values.get('content-length');
    this.contentLength = length === undefined ? undefined : Number(length);
  }

  /**
   * Reads a block of field lines (RFC 9112, 5), without the empty line that ends it. `undefined` where anything about it
   * is unusual: obsolete folding, a bare CR or LF, another framing than `Content-Length`, a connection that is to close.
   * Such a request is not wrong by that, but another, complete parser has to read it.
   */
  static parse(block: string): RequestHead | undefined {
    const rawHeaders: string[] = [];
    const values = new Map<string, string>();
    let repeats = false;
    for (const line of block === '' ? [] : block.split('\r\n')) {
      const [, name, value] = FIELD_LINE.exec(line) ?? [];
      if (name === undefined || value === undefined) return undefined;
      const key = name.toLowerCase();
      if (FRAMING_FIELDS.has(key)) return undefined;
      if (values.has(key)) repeats = true;
      rawHeaders.push(name, value);
      if (repeats && key === 'content-length') return undefined;
      values.set(key, value);
    }
    const connection = values.get('connection');
    if (connection !== undefined && connection.toLowerCase() !== 'keep-alive') return undefined;
    const length = values.get('content-length');
    if (length !== undefined && !LENGTH.test(length)) return undefined;
    return new RequestHead(rawHeaders, values, repeats);
  }

  /** Value of a field by its lower-case name; of several lines the last. */
  value(name: string): string | undefined {
    return this.#values.get(name);
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /**
   * All fields by lower-case name; `undefined` where one came in several lines, which each field joins in its own way. The
   * same object each time: requests share heads.
   */
  fields(): Readonly<Record<string, string>> | undefined {
    if (this.repeats) return undefined;
    this.#fields ??= Object.freeze(Object.fromEntries(this.#values));
    return this.#fields;
  }
}
