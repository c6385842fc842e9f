/**
 * The cache engine alone, get-or-fill, against other tiered caches for Node in the same process and with the same
 * redis-server; contenders take turns round by round. `npm run bench:engine -- --seconds 1 --rounds 5`.
 */
import { createClient } from 'redis';
import { startRedis } from '../test/support/redis';
import {
  asyncCacheDedupe,
  bareMinimum,
  bentocache,
  bentocacheFull,
  cacheable,
  type Engine,
  edgeCache,
  type Tiers,
} from './support/engines';
import { seededRandom, zipf } from './support/keys';
import { type Effort, readEffort, runBenchmark } from './support/options';
import { median, printTable, short } from './support/report';

interface Scenario {
  readonly title: string;
  readonly tiers: Tiers;
  readonly keys: readonly string[];
  /** Requests under way at once. */
  readonly inFlight: number;
}

/** What one turn of one contender took per request, microseconds. */
interface Turn {
  readonly wall: number;
  readonly cpu: number;
  /** Commands that Redis processed per request. */
  readonly commands: number;
}

const CONTENDERS = [edgeCache, bentocache, bentocacheFull, cacheable, asyncCacheDedupe, bareMinimum];
const SEQUENCE = 65_536;

async function main(): Promise<void> {
  const effort = readEffort({ seconds: 1, rounds: 5 });
  for (const scenario of scenarios()) {
    const redis = await startRedis();
    const engines = CONTENDERS.map((create) => create(redis.url, scenario.tiers));
    try {
      const turns = await measure(scenario, engines, effort, () => commandsOf(redis.url));
      print(scenario, turns);
    } finally {
      for (const engine of engines) await engine.close();
      await redis.stop();
    }
  }
}

function scenarios(): Scenario[] {
  const random = seededRandom(1);
  const popular = zipf(10_000, 1, random);
  const spread = Array.from({ length: SEQUENCE }, () => keyOf(popular()));
  const uniform = Array.from({ length: SEQUENCE }, () => keyOf(Math.floor(random() * 10_000)));
  return [
    { title: 'memory hit, one hot key', tiers: 'both', keys: [keyOf(0)], inFlight: 1 },
    { title: 'memory hit, 10,000 keys, Zipf 1.0', tiers: 'both', keys: spread, inFlight: 1 },
    // Uniform, or requests that join the look-up of another would count as hits of Redis.
    {
      title: 'Redis hit behind memory for 100 of 10,000 keys, uniform, 64 in flight',
      tiers: 'small memory',
      keys: uniform,
      inFlight: 64,
    },
    {
      title: 'Redis hit with no memory tier, 10,000 keys, uniform, 64 in flight',
      tiers: 'redis',
      keys: uniform,
      inFlight: 64,
    },
  ];
}

/** As long as the keys of predictions are. */
function keyOf(rank: number): string {
  return `predict:ranker@v1:${String(rank).padStart(64, '0')}`;
}

async function commandsOf(redisUrl: string): Promise<number> {
  const client = await createClient({ url: redisUrl }).connect();
  const stats = await client.info('stats');
  client.destroy();
  return Number(/total_commands_processed:(\d+)/.exec(stats)?.[1]);
}

async function measure(
  scenario: Scenario,
  engines: readonly Engine[],
  effort: Effort,
  commands: () => Promise<number>,
) {
  const turns = new Map<string, Turn[]>(engines.map(({ name }) => [name, []]));
  for (const engine of engines) await warmUp(engine, scenario);
  for (let round = 0; round < effort.rounds; round++) {
    for (const engine of engines) {
      const before = await commands();
      const { done, wallMs, cpuUs } = await turn(engine, scenario, effort.seconds);
      const asked = (await commands()) - before;
      turns.get(engine.name)?.push({ wall: (wallMs * 1000) / done, cpu: cpuUs / done, commands: asked / done });
    }
  }
  return turns;
}

/** Every key once, some at a time, so that what follows are hits; then a moment of what follows. */
async function warmUp(engine: Engine, scenario: Scenario): Promise<void> {
  // The clients connect in the background.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const keys = [...new Set(scenario.keys)];
  for (let from = 0; from < keys.length; from += 256) {
    await Promise.all(keys.slice(from, from + 256).map((key) => engine.getOrFill(key)));
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  await turn(engine, scenario, 0.5);
}

async function turn(engine: Engine, { keys, inFlight }: Scenario, seconds: number) {
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  const end = began + seconds * 1000;
  let done = 0;
  let over = false;
  const lane = async (offset: number) => {
    for (let at = offset; !over; at += inFlight) {
      await engine.getOrFill(keys[at % keys.length] ?? '');
      done += 1;
      // Asking the time costs as much as a hit does.
      if ((done & 63) === 0) over = performance.now() > end;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, offset) => lane(offset)));
  const wallMs = performance.now() - began;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { done, wallMs, cpuUs: user + system };
}

function print(scenario: Scenario, turns: ReadonlyMap<string, readonly Turn[]>): void {
  const medians = [...turns].map(([name, list]) => ({
    name,
    wall: median(list.map(({ wall }) => wall)),
    cpu: median(list.map(({ cpu }) => cpu)),
    commands: median(list.map(({ commands }) => commands)),
  }));
  const ours = medians[0];
  console.log(scenario.title);
  printTable(
    ['engine', 'us/request', 'CPU us/request', 'Redis commands/request', 'x wall', 'x CPU'],
    medians.map(({ name, wall, cpu, commands }) => [
      name,
      short(wall),
      short(cpu),
      commands.toFixed(2),
      short(wall / (ours?.wall ?? Number.NaN)),
      short(cpu / (ours?.cpu ?? Number.NaN)),
    ]),
  );
}

runBenchmark(main);
