import { BanSweeper } from '../../../../containers/edge/cache/ban-sweeper';
import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { createMemoryStore } from '../../../../containers/edge/cache/memory-store';
import { entryOf, until } from './fixtures';

describe('the ban sweeper', () => {
  it('takes what a prefix hit out of memory before anybody asks for it, and leaves the rest', async () => {
    const index = new InvalidationIndex({ epoch: 'a', seq: 0 });
    const memory = createMemoryStore(10_000_000);
    for (let i = 0; i < 1_000; i++) memory.set(entryOf(`${i % 2 === 0 ? 'even' : 'odd'}/${i}`));
    const sweeper = new BanSweeper(memory, index, Date.now, 1);
    try {
      index.invalidate({ keys: [], tags: [], prefixes: ['even/'], patterns: [] }, { epoch: 'a', seq: 1 });
      await until(() => memory.usage().entries === 500);
      expect([...memory.slots()].every(({ entry }) => entry.key.startsWith('odd/'))).toBe(true);
    } finally {
      sweeper.close();
    }
  });

  it('lets the index forget what is older than anything kept', async () => {
    const time = { now: 0 };
    const index = new InvalidationIndex({ epoch: 'a', seq: 0 }, { clock: () => time.now });
    index.invalidate({ keys: [], tags: [], prefixes: ['even/'], patterns: [] }, { epoch: 'a', seq: 1 });
    const sweeper = new BanSweeper(createMemoryStore(1_000), index, Date.now, 1);
    try {
      time.now = 8 * 24 * 3_600_000;
      await until(() => index.snapshot().bans.length === 0);
      expect(index.isValid(entryOf('even/1'))).toBe(false);
    } finally {
      sweeper.close();
    }
  });
});
