import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ControlJournal, openControlJournal } from '../../../../containers/edge/cache/control-journal';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import type { InvalidateMessage } from '../../../../lib/core/control-message';
import { collectingLog } from './fixtures';

const invalidationOf = (key: string): InvalidateMessage => ({
  kind: 'invalidate',
  id: randomUUID(),
  targets: { keys: [key], tags: [], prefixes: [], patterns: [] },
});

describe('the control journal', () => {
  let directory: string;
  const path = () => join(directory, 'control.journal');
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mlcdn-journal-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const open = async () => {
    const index = new InvalidationIndex({ epoch: 'new', seq: 0 });
    const journal = await openControlJournal(directory, index, collectingLog());
    return { index, journal };
  };
  const apply = (index: InvalidationIndex, journal: ControlJournal, message: InvalidateMessage, seq: number) => {
    const position = { epoch: index.position().epoch, seq };
    index.invalidate(message.targets, position);
    journal.message(message, position);
  };

  it('has nothing to restore the first time', async () => {
    const { index, journal } = await open();
    expect(journal.restored).toBeUndefined();
    expect(index.position()).toEqual({ epoch: 'new', seq: 0 });
    await journal.close();
  });

  it('restores index and position, across an epoch too', async () => {
    const { index, journal } = await open();
    index.restartAt({ epoch: 'a', seq: 7 });
    journal.rewrite();
    apply(index, journal, invalidationOf('one'), 8);
    index.continueAs('b');
    journal.continueAs('b');
    const last = invalidationOf('two');
    apply(index, journal, last, 1);
    await journal.close();

    const next = await open();
    expect(next.journal.restored).toEqual({ position: { epoch: 'b', seq: 1 }, messageId: last.id });
    expect(next.index.snapshot()).toEqual(index.snapshot());
    await next.journal.close();
    const third = await open();
    expect(third.journal.restored).toEqual(next.journal.restored);
    expect(third.index.snapshot()).toEqual(index.snapshot());
    await third.journal.close();
  });

  it('goes back to the last line that is whole when the end is torn or damaged', async () => {
    const { index, journal } = await open();
    const first = invalidationOf('one');
    apply(index, journal, first, 1);
    await journal.close();
    const upToFirst = await readFile(path(), 'utf8');

    const again = await open();
    apply(again.index, again.journal, invalidationOf('two'), 2);
    await again.journal.close();
    const whole = await readFile(path(), 'utf8');
    const lines = whole.trimEnd().split('\n');
    const lastLine = lines.at(-1) ?? '';
    const before = whole.slice(0, whole.length - lastLine.length - 1);
    expect(upToFirst).not.toBe(whole);

    for (const end of [lastLine.slice(0, -10), `${lastLine.slice(0, -10)}X${lastLine.slice(-9)}\n`]) {
      await writeFile(path(), before + end);
      const next = await open();
      expect(next.journal.restored).toEqual({ position: { epoch: 'new', seq: 1 }, messageId: first.id });
      await next.journal.close();
    }
  });

  it('restores nothing from a file that is damaged at its start', async () => {
    const { journal } = await open();
    await journal.close();
    await writeFile(path(), `0 ${await readFile(path(), 'utf8')}`);
    const next = await open();
    expect(next.journal.restored).toBeUndefined();
    await next.journal.close();
  });

  it('stays small however many messages pass', async () => {
    const { index, journal } = await open();
    const padding = 'x'.repeat(1_500);
    for (let seq = 1; seq <= 6_000; seq++) {
      apply(index, journal, invalidationOf(`${padding}${seq % 10}`), seq);
      if (seq % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await journal.close();
    expect((await readFile(path())).length).toBeLessThan(8 * 1024 * 1024);
    const next = await open();
    expect(next.index.snapshot()).toEqual(index.snapshot());
    expect((await readFile(path())).length).toBeLessThan(100_000);
    await next.journal.close();
  });
});
