import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { buffer } from 'node:stream/consumers';
import { isDeepStrictEqual } from 'node:util';
import { build } from 'esbuild';
import { openBodyStore } from '../../../../containers/edge/cache/body-store';
import { DiskStore } from '../../../../containers/edge/cache/disk-store';
import { bodyOf, entryContent } from '../../../support/disk-content';
import { collectingLog, until } from './fixtures';

const ROUNDS = 12;
const WRITER = resolve(__dirname, '../../../support/disk-writer.ts');

/** A process that writes as fast as it can, and what it has said that it has stored. */
function startWriter(
  script: string,
  directory: string,
  round: number,
): { child: ChildProcess; bodies: Map<string, string> } {
  const child = spawn(process.execPath, [script, directory, String(round)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const bodies = new Map<string, string>();
  if (!child.stdout) throw new Error('the writer has no standard output');
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [kind, seed = '', id = ''] = line.split(' ');
    if (kind === 'started') child.emit('started');
    else bodies.set(id, seed);
  });
  return { child, bodies };
}

describe('the disk tier after kill -9', () => {
  it(`finds every entry and every body whole or absent, ${ROUNDS} times over`, async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mlcdn-crash-'));
    const script = join(directory, 'writer.cjs');
    await build({ entryPoints: [WRITER], outfile: script, bundle: true, platform: 'node', logLevel: 'error' });
    const seeds = new Map<string, string>();
    let entriesSeen = 0;
    let bodiesSeen = 0;
    let bodiesOfLastRounds = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const { child, bodies } = startWriter(script, directory, round);
      await once(child, 'started');
      await new Promise((resolve) => setTimeout(resolve, randomInt(5, 400)));
      child.kill('SIGKILL');
      await once(child, 'exit');
      for (const [id, seed] of bodies) seeds.set(id, seed);

      const entries = await DiskStore.open(directory, 4 * 1024 * 1024, collectingLog());
      await entries.loaded;
      for (let i = 0; i < 500; i++) {
        const entry = await entries.get(`k${i}`);
        if (!entry) continue;
        entriesSeen += 1;
        if (!isDeepStrictEqual(entry, entryContent(entry.key, entry.tags[0] ?? '')))
          throw new Error(`k${i} is not whole`);
        expect(entry.key).toBe(`k${i}`);
      }
      // One torn record at the end of the segment that was being written, at most.
      expect(entries.usage().corrupt).toBeLessThanOrEqual(1 + round);
      await entries.close();

      const store = await openBodyStore(join(directory, 'bodies'), 8 * 1024 * 1024, collectingLog());
      const names = async () => readdir(join(directory, 'bodies'));
      await until(async () => !(await names()).some((name) => name.endsWith('.partial')));
      for (const name of (await names()).filter((each) => each.endsWith('.body'))) {
        const id = name.slice(0, -'.body'.length);
        const body = await store.open(id);
        // Given up since, to come back within the bound; one that is not whole would count as corrupt.
        if (!body) continue;
        const content = await buffer(body.read());
        await body.close();
        bodiesSeen += 1;
        expect(createHash('sha256').update(content).digest('hex')).toBe(id);
        const seed = seeds.get(id);
        if (seed !== undefined && content.equals(bodyOf(seed))) bodiesOfLastRounds += 1;
        else expect(seed).toBeUndefined();
      }
      expect(store.usage().corrupt).toBe(0);
      await store.close();
    }
    expect(entriesSeen).toBeGreaterThan(500);
    expect(bodiesSeen).toBeGreaterThan(ROUNDS);
    expect(bodiesOfLastRounds).toBeGreaterThan(0);
    await rm(directory, { recursive: true });
  }, 240_000);
});
