/**
 * Names of header fields, to be looked for in `rawHeaders`: reading `request.headers` makes Node build an object of all
 * fields, which costs more than most of what a hit does.
 */
export class FieldNames {
  readonly #names: ReadonlySet<string>;
  readonly #lengths: readonly boolean[];

  /** `names` in lower case. */
  constructor(names: readonly string[]) {
    this.#names = new Set(names);
    const lengths: boolean[] = Array.from({ length: Math.max(...names.map(({ length }) => length)) + 1 }, () => false);
    for (const { length } of names) lengths[length] = true;
    this.#lengths = lengths;
  }

  /** Whether any of the fields is there; `rawHeaders` has names and values in turn. */
  isIn(rawHeaders: readonly string[]): boolean {
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i] ?? '';
      if (this.#lengths[name.length] === true && this.#names.has(name.toLowerCase())) return true;
    }
    return false;
  }
}
