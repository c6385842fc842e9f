/**
 * Load generator, a process of its own: `node load.cjs JSON` with a `Load`, prints one `LoadResult` as JSON. A closed
 * loop: every connection asks again as soon as it has its answer. `open-loop.ts` has the open one.
 */
import { build } from 'hdr-histogram-js';
import { type Answer, HttpConnection } from './http-connection';
import { type InferKind, InferTemplate } from './infer-requests';
import { seededRandom } from './keys';
import { cpuTimeOf } from './processes';
import { type RequestKind, requestBytes } from './requests';

/** What a load generator is to do. */
export interface Load {
  readonly port: number;
  /** What is asked for; inference where `infer` says how. */
  readonly kind?: RequestKind;
  /** Every request is another one, from `firstKey` on, whatever `keys` says. */
  readonly infer?: InferKind;
  /** Distinct requests, drawn uniformly; 0: every request is another one, from `firstKey` on. */
  readonly keys: number;
  readonly firstKey: number;
  readonly connections: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Process whose CPU time is measured, with its children. */
  readonly serverPid: number;
}

/** What a load generator saw in the measured time. */
export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  /** Answers with a status other than 200, and requests never answered. */
  readonly failed: number;
  /** CPU time of the server and its children per request, microseconds. */
  readonly serverCpuUs: number;
  /** The same without its children. */
  readonly serverOwnCpuUs: number;
  /** Share of its core that this generator used; near 1, it is the generator that is measured. */
  readonly generatorCpu: number;
  /** Milliseconds from when a request was sent. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly p999: number; readonly max: number };
  /** Where answers came from by their `cache-status`, sampled: `memory`, `l1`, ..., and how many. */
  readonly sources: Readonly<Record<string, number>>;
}

/** Longest that a warm-up waits for a slow server, ms. */
const MAX_WARM_UP_MS = 60_000;
const SAMPLE_MASK = 63;
async function main(): Promise<void> {
  const load: Load = JSON.parse(process.argv[2] ?? '{}');
  const connections = await connectAll(load);
  const next = requestsOf(load);
  await warmUp(connections, next, load);

  const serverBefore = cpuTimeOf(load.serverPid);
  const ownBefore = process.cpuUsage();
  const seen = await run(connections, next, load);
  const serverAfter = cpuTimeOf(load.serverPid);
  const { user, system } = process.cpuUsage(ownBefore);
  for (const connection of connections) connection.close();
  const result: LoadResult = {
    requests: seen.requests,
    perSecond: seen.requests / seen.seconds,
    failed: seen.failed,
    serverCpuUs: ((serverAfter.all - serverBefore.all) * 1e6) / seen.requests,
    serverOwnCpuUs: ((serverAfter.own - serverBefore.own) * 1e6) / seen.requests,
    generatorCpu: (user + system) / 1e6 / seen.seconds,
    latency: seen.latency,
    sources: seen.sources,
  };
  process.stdout.write(JSON.stringify(result), () => process.exit(0));
}

/** Every request at least once, then some more, in a closed loop. */
async function warmUp(connections: readonly HttpConnection[], next: () => Buffer, load: Load): Promise<void> {
  const tally = new Tally();
  const began = performance.now();
  const deadline = began + MAX_WARM_UP_MS;
  const soonest = began + load.warmUpSeconds * 1000;
  const goesOn = () => performance.now() < soonest || (tally.requests < load.keys && performance.now() < deadline);
  await closedLoop(connections, next, goesOn, tally);
}

function connectAll(load: Load): Promise<HttpConnection[]> {
  const broken = (reason: string) => {
    process.stderr.write(`${reason}\n`);
    process.exit(1);
  };
  return Promise.all(
    Array.from(
      { length: load.connections },
      () =>
        new Promise<HttpConnection>((resolve) => {
          const connection = new HttpConnection(load.port, () => resolve(connection), broken);
        }),
    ),
  );
}

/** The requests in order, made beforehand where they repeat. */
function requestsOf({ kind, infer, keys, firstKey, connections }: Load): () => Buffer {
  if (infer !== undefined) return inferencesOf(new InferTemplate(infer), firstKey, connections);
  if (kind === undefined) throw new Error('kind: must say what is asked for');
  if (keys === 0) {
    let n = firstKey;
    return () => requestBytes(kind, n++);
  }
  const random = seededRandom(keys);
  const distinct = Array.from({ length: keys }, (_, n) => requestBytes(kind, n));
  // All of them once before any comes twice, so that the warm-up stores them.
  let at = 0;
  return () => {
    const n = at < keys ? at++ : Math.floor(random() * keys);
    return distinct[n] ?? Buffer.alloc(0);
  };
}

/** Far more copies than connections: one is written to again when the request it was has long been sent. */
function inferencesOf(template: InferTemplate, firstKey: number, connections: number): () => Buffer {
  const copies = Array.from({ length: 4 * connections }, () => template.copy());
  let n = firstKey;
  return () => {
    const copy = copies[n % copies.length] as Buffer;
    template.patch(copy, n++);
    return copy;
  };
}

interface Seen extends Pick<LoadResult, 'requests' | 'failed' | 'latency' | 'sources'> {
  readonly seconds: number;
}

async function run(connections: readonly HttpConnection[], next: () => Buffer, load: Load): Promise<Seen> {
  const tally = new Tally();
  const began = performance.now();
  const end = began + load.seconds * 1000;
  await closedLoop(connections, next, () => performance.now() < end, tally);
  return { ...tally.seen(), seconds: (performance.now() - began) / 1000 };
}

function closedLoop(connections: readonly HttpConnection[], next: () => Buffer, goesOn: () => boolean, tally: Tally) {
  return Promise.all(
    connections.map(
      (connection) =>
        new Promise<void>((resolve) => {
          let sent = 0;
          const ask = () => {
            sent = performance.now();
            connection.send(next(), taken);
          };
          const taken = (answer: Answer) => {
            tally.count(answer);
            tally.late(performance.now() - sent);
            if (goesOn()) ask();
            else resolve();
          };
          ask();
        }),
    ),
  );
}

class Tally {
  readonly #histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
    numberOfSignificantValueDigits: 3,
  });
  readonly #sources: Record<string, number> = {};
  requests = 0;
  #failed = 0;

  count(answer: Answer): void {
    this.requests += 1;
    if (answer.status !== 200) this.#failed += 1;
    if ((this.requests & SAMPLE_MASK) === 0) this.#sample(answer.head());
  }

  /** Latency in ms. */
  late(ms: number): void {
    this.#histogram.recordValue(Math.max(1, Math.round(ms * 1000)));
  }

  seen(): Omit<Seen, 'seconds'> {
    const percentile = (share: number) =>
      this.#histogram.totalCount === 0 ? Number.NaN : this.#histogram.getValueAtPercentile(share) / 1000;
    return {
      requests: this.requests,
      failed: this.#failed,
      latency: { p50: percentile(50), p99: percentile(99), p999: percentile(99.9), max: percentile(100) },
      sources: this.#sources,
    };
  }

  #sample(head: string): void {
    const status = /\r\ncache-status: *([^\r]*)/i.exec(head)?.[1] ?? '';
    const source =
      /detail="?([a-z0-9-]+)/i.exec(status)?.[1] ??
      (/;\s*hit/.test(status) ? 'hit' : status === '' ? 'unnamed' : 'miss');
    this.#sources[source] = (this.#sources[source] ?? 0) + 1;
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
});
