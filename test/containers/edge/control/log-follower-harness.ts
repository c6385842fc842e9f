import { randomUUID } from 'node:crypto';
import { createClient } from 'redis';
import { createControlLog } from '../../../../containers/edge/control/log-follower';
import type { Checkpoint, ControlLog, LogState } from '../../../../containers/edge/control/types';
import { APPEND_SCRIPT, CONTROL_KEYS, CONTROL_LOG_LENGTH } from '../../../../lib/core/control-log';
import type { ControlMessage } from '../../../../lib/core/control-message';
import { startRedis, type TestRedis } from '../../../support/redis';
import { collectingLog, until } from '../cache/fixtures';

let server: TestRedis;
let connection: ReturnType<typeof createClient>;
const followers: ControlLog[] = [];
beforeAll(async () => {
  server = await startRedis();
});
beforeEach(async () => {
  await connect();
  await connection.flushAll();
});
afterEach(async () => {
  for (const follower of followers.splice(0)) await follower.close();
  connection.destroy();
});
afterAll(() => server.stop());

async function connect(): Promise<void> {
  connection = createClient({ url: server.url });
  connection.on('error', () => undefined);
  await connection.connect();
}

/** The Redis of this file's tests, empty at the start of each. */
export const redis = (): TestRedis => server;

/** The test's own connection to `redis`. */
export const client = (): typeof connection => connection;

/** Breaks every connection to `redis`, and opens the test's own again. */
export async function breakConnections(): Promise<void> {
  await server.disconnectClients();
  connection.destroy();
  await connect();
}

/** A message that invalidates one key. */
export const invalidation = (key: string, id: string = randomUUID()): ControlMessage => ({
  kind: 'invalidate',
  id,
  targets: { keys: [key], tags: [], prefixes: [], patterns: [] },
});

/** What one run of `APPEND_SCRIPT` is given to append a message to a log of at most `length`. */
export const appending = (message: ControlMessage, length = CONTROL_LOG_LENGTH) => {
  const { epoch, head, stream, seen, channel } = CONTROL_KEYS;
  return {
    keys: [epoch, head, stream, seen],
    arguments: [randomUUID(), message.id, JSON.stringify(message), `${length}`, channel],
  };
};

/** Appends a message as the region's function does; resolves to its position. */
export const append = async (message: ControlMessage, length?: number): Promise<number> => {
  const reply = await connection.eval(APPEND_SCRIPT, appending(message, length));
  return Array.isArray(reply) ? Number(reply[1]) : Number.NaN;
};

/** A follower of the log in `redis` that is closed after the test. */
export const follow = (state: LogState, taskId = 'task-1', log = collectingLog()): ControlLog => {
  const report = () => ({ channels: { ranker: 3 }, models: {} });
  const options = { redisUrl: server.url, taskId, region: 'eu-west-1', state, report, log };
  const follower = createControlLog({ ...options, heartbeatMs: 20, maxBackoffMs: 50 });
  followers.push(follower);
  return follower;
};

/** Resolves once a follower has applied the message at `seq`. */
export const at = (follower: ControlLog, seq: number) => until(() => follower.position().seq === seq);

/** Remembers the calls of a follower in words, with epochs numbered in the order of their appearance. */
export class RecordingState implements LogState {
  readonly calls: string[] = [];
  readonly #epochs: string[] = [];
  #checkpoint: Checkpoint;

  constructor(checkpoint: Checkpoint = { position: { epoch: 'none', seq: 0 } }) {
    this.#checkpoint = checkpoint;
    this.#epochs.push(checkpoint.position.epoch);
  }
  checkpoint(): Checkpoint {
    return this.#checkpoint;
  }
  apply(message: ControlMessage, position: Checkpoint['position']): void {
    this.#checkpoint = { position, messageId: message.id };
    this.calls.push(
      `apply ${message.kind === 'invalidate' ? message.targets.keys.join() : message.kind} at ${this.#say(position)}`,
    );
  }
  continueAs(epoch: string): void {
    this.#checkpoint = { position: { epoch, seq: 0 } };
    this.calls.push(`continue as ${this.#say({ epoch, seq: 0 })}`);
  }
  restartAt(from: Checkpoint['position']): void {
    this.#checkpoint = { position: from };
    this.calls.push(`restart at ${this.#say(from)}`);
  }
  caughtUp(): void {
    this.calls.push('caught up');
  }
  #say({ epoch, seq }: Checkpoint['position']): string {
    if (!this.#epochs.includes(epoch)) this.#epochs.push(epoch);
    return `${this.#epochs.indexOf(epoch)}/${seq}`;
  }
}
