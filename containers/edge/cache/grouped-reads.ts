/** Keys of one command at most: its reply is read whole before anybody gets a part of it. */
const MAX_KEYS = 64;

/** A read that waits for its value: one of the methods is called once. */
export interface GroupedRead<Value> {
  readonly redisKey: string;
  found(value: Value): void;
  failed(error: unknown): void;
}

/**
 * Groups the reads of one turn of the event loop: a key of an MGET costs client and server about half of a GET. `send`
 * gets one or more keys and resolves with their values in the same order; when it rejects, every read of the group
 * fails.
 */
export class GroupedReads<Value> {
  readonly #send: (keys: string[]) => Promise<readonly Value[]>;
  readonly #flushThis = (): void => this.#flush();
  #reads: GroupedRead<Value>[] = [];

  constructor(send: (keys: string[]) => Promise<readonly Value[]>) {
    this.#send = send;
  }

  add(read: GroupedRead<Value>): void {
    // Not at the next tick: that comes behind every single socket, and clients on other sockets are read in this turn too.
    if (this.#reads.length === 0) setImmediate(this.#flushThis);
    this.#reads.push(read);
    if (this.#reads.length === MAX_KEYS) this.#flush();
  }

  #flush(): void {
    const group = this.#reads;
    if (group.length === 0) return;
    this.#reads = [];
    this.#send(group.map(({ redisKey }) => redisKey)).then(
      (values) => {
        for (let i = 0; i < group.length; i++) hand(group[i], values[i], group.length, values.length);
      },
      (error: unknown) => {
        for (const read of group) read.failed(error);
      },
    );
  }
}

function hand<Value>(
  read: GroupedRead<Value> | undefined,
  value: Value | undefined,
  asked: number,
  came: number,
): void {
  if (value === undefined) read?.failed(new Error(`${asked} keys were read, ${came} values came`));
  else read?.found(value);
}
