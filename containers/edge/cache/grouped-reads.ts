/** Keys of one command at most: its reply is read whole before anybody gets a part of it. */
const MAX_KEYS = 64;

interface Read<Value> {
  readonly key: string;
  readonly resolve: (value: Value) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Groups the reads of one turn of the event loop: a key of an MGET costs client and server about half of a GET. `send`
 * gets one or more keys and resolves with their values in the same order; when it rejects, every read of the group does.
 */
export class GroupedReads<Value> {
  readonly #send: (keys: readonly string[]) => Promise<readonly Value[]>;
  #waiting: Read<Value>[] = [];

  constructor(send: (keys: readonly string[]) => Promise<readonly Value[]>) {
    this.#send = send;
  }

  get(key: string): Promise<Value> {
    return new Promise((resolve, reject) => {
      // After the microtasks: whoever goes on with a reply that has just come may still want to read.
      if (this.#waiting.length === 0) process.nextTick(() => this.#flush());
      this.#waiting.push({ key, resolve, reject });
      if (this.#waiting.length === MAX_KEYS) this.#flush();
    });
  }

  #flush(): void {
    const group = this.#waiting;
    if (group.length === 0) return;
    this.#waiting = [];
    this.#send(group.map(({ key }) => key)).then(
      (values) => {
        for (let i = 0; i < group.length; i++) {
          const read = group[i];
          const value = values[i];
          if (value === undefined)
            read?.reject(new Error(`${group.length} keys were read, ${values.length} values came`));
          else read?.resolve(value);
        }
      },
      (error: unknown) => {
        for (const { reject } of group) reject(error);
      },
    );
  }
}
