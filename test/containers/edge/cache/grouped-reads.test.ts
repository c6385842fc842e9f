import fc from 'fast-check';
import { GroupedReads } from '../../../../containers/edge/cache/grouped-reads';

function valueIn<Value>(reads: GroupedReads<Value>, redisKey: string): Promise<Value> {
  return new Promise((found, failed) => reads.add({ redisKey, found, failed }));
}

describe('reads of one turn', () => {
  it('are sent together, and each gets its own value', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string(), { minLength: 1, maxLength: 200 }), async (keys) => {
        const sent: (readonly string[])[] = [];
        const reads = new GroupedReads(async (group) => {
          sent.push(group);
          return group.map((key) => `value of ${key}`);
        });
        const values = await Promise.all(keys.map((key) => valueIn(reads, key)));
        expect(values).toEqual(keys.map((key) => `value of ${key}`));
        expect(sent.flat()).toEqual(keys);
        expect(sent).toHaveLength(Math.ceil(keys.length / 64));
      }),
    );
  });

  it('fail together, and those of the next turn do not', async () => {
    let isAway = true;
    const reads = new GroupedReads(async (group) => {
      if (isAway) throw new Error('away');
      return group.map(() => 'here');
    });
    const first = await Promise.allSettled([valueIn(reads, 'a'), valueIn(reads, 'b')]);
    expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    isAway = false;
    expect(await valueIn(reads, 'a')).toBe('here');
  });

  it('are refused when values are missing', async () => {
    const reads = new GroupedReads(async () => ['only one']);
    const outcomes = await Promise.allSettled([valueIn(reads, 'a'), valueIn(reads, 'b')]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });
});
