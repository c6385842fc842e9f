import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import type { InvalidationTargets } from '../../../../lib/core/control-message';
import { entryOf } from './fixtures';

const targets = (fields: Partial<InvalidationTargets>): InvalidationTargets => ({
  keys: [],
  tags: [],
  prefixes: [],
  patterns: [],
  ...fields,
});
const at = (seq: number, epoch = 'a') => ({ epoch, seq });
const fresh = () => new InvalidationIndex(at(0));

describe('InvalidationIndex', () => {
  it.each([
    ['key', targets({ keys: ['predict/ranker/1/x'] })],
    ['tag', targets({ tags: ['model:ranker'] })],
    ['prefix', targets({ prefixes: ['predict/ranker/'] })],
    ['glob', targets({ patterns: ['*/ranker/?/*'] })],
  ])('invalidates by %s what is stamped before, and nothing stamped at or after', (_name, named) => {
    const index = fresh();
    const matching = (seq: number) => entryOf('predict/ranker/1/x', { stamp: at(seq) });
    const other = entryOf('predict/other/1/x', { tags: ['model:other'] });
    expect(index.isValid(matching(0))).toBe(true);
    index.invalidate(named, at(1));
    expect(index.isValid(matching(0))).toBe(false);
    expect(index.isValid(matching(1))).toBe(true);
    expect(index.isValid(matching(9))).toBe(true);
    expect(index.isValid(other)).toBe(true);
  });

  it('does not trust its earlier verdict after an invalidation', () => {
    const index = fresh();
    const entry = entryOf('k');
    expect([index.isValid(entry), index.isValid(entry)]).toEqual([true, true]);
    index.invalidate(targets({ keys: ['k'] }), at(1));
    expect(index.isValid(entry)).toBe(false);
  });

  it('compares tags without case', () => {
    const index = fresh();
    index.invalidate(targets({ tags: ['Model:Ranker'] }), at(1));
    expect(index.isValid(entryOf('k', { tags: ['MODEL:ranker'] }))).toBe(false);
  });

  it('distrusts epochs it has not followed, and stamps past the end of one it has', () => {
    const index = fresh();
    index.advance(at(1));
    index.advance(at(2));
    index.continueAs('b');
    expect(index.isValid(entryOf('k', { stamp: at(2, 'a') }))).toBe(true);
    expect(index.isValid(entryOf('k', { stamp: at(3, 'a') }))).toBe(false);
    expect(index.isValid(entryOf('k', { stamp: at(0, 'unknown') }))).toBe(false);
  });

  it('orders invalidations across an epoch that it followed without a gap', () => {
    const index = fresh();
    index.invalidate(targets({ keys: ['early'] }), at(1));
    index.advance(at(2));
    index.continueAs('b');
    index.invalidate(targets({ keys: ['late'] }), at(1, 'b'));
    expect(index.isValid(entryOf('early', { stamp: at(0, 'a') }))).toBe(false);
    expect(index.isValid(entryOf('early', { stamp: at(1, 'a') }))).toBe(true);
    expect(index.isValid(entryOf('late', { stamp: at(2, 'a') }))).toBe(false);
    expect(index.isValid(entryOf('late', { stamp: at(0, 'b') }))).toBe(false);
    expect(index.isValid(entryOf('late', { stamp: at(1, 'b') }))).toBe(true);
  });

  it('trusts only what is stamped at or after the place where it starts again', () => {
    const index = fresh();
    index.restartAt(at(500));
    expect(index.isValid(entryOf('k', { stamp: at(499) }))).toBe(false);
    expect(index.isValid(entryOf('k', { stamp: at(500) }))).toBe(true);
  });

  it('refuses a position that does not follow', () => {
    const index = fresh();
    index.advance(at(1));
    expect(() => index.advance(at(1))).toThrow('a/1 does not follow a/1');
    expect(() => index.invalidate(targets({ keys: ['k'] }), at(2, 'b'))).toThrow('b/2 does not follow a/1');
  });

  it.each([
    ['names', { names: 3, bans: 100, epochs: 9 }, (i: number) => targets({ tags: [`t${i}`] })],
    ['names', { names: 3, bans: 100, epochs: 9 }, (i: number) => targets({ keys: [`k${i}`], tags: [`t${i}`] })],
    ['bans', { names: 100, bans: 3, epochs: 9 }, (i: number) => targets({ prefixes: [`p${i}/`] })],
  ])('forgetting %s for want of room never makes an entry valid again', (_name, limits, named) => {
    const index = new InvalidationIndex(at(0), { limits });
    const victim = entryOf('p1/k1', { tags: ['t1'], stamp: at(0) });
    const sameName = entryOf('k1', { tags: ['t1'], stamp: at(0) });
    for (let i = 1; i <= 50; i++) index.invalidate(named(i), at(i));
    expect([index.isValid(victim), index.isValid(sameName)]).toEqual([false, false]);
    expect(index.isValid(entryOf('p50/z', { stamp: at(50) }))).toBe(true);
    const { keys, tags, bans } = index.snapshot();
    expect(keys.length + tags.length + bans.length).toBeLessThanOrEqual(3);
  });

  it('reaches every variant by the base key, and one variant by its own', () => {
    const index = fresh();
    const variant = (name: string, seq = 0) => entryOf(`k\n${name}`, { stamp: at(seq) });
    index.invalidate(targets({ keys: ['k\nfr'] }), at(1));
    expect([index.isValid(variant('fr')), index.isValid(variant('de')), index.isValid(entryOf('k'))]).toEqual([
      false,
      true,
      true,
    ]);
    index.invalidate(targets({ keys: ['k'] }), at(2));
    expect([index.isValid(variant('de', 1)), index.isValid(variant('de', 2))]).toEqual([false, true]);
    index.invalidate(targets({ patterns: ['k'] }), at(3));
    expect(index.isValid(variant('de', 2))).toBe(false);
  });

  it('remembers invalidations as long as anything is kept, and never makes an entry valid by forgetting', () => {
    const time = { now: 0 };
    const index = new InvalidationIndex(at(0), { clock: () => time.now });
    const day = 24 * 3_600_000;
    index.noteRetention(day);
    index.invalidate(targets({ keys: ['k'], tags: ['t'], prefixes: ['p/'] }), at(1));
    const remembered = () => {
      const { keys, tags, bans } = index.snapshot();
      return keys.length + tags.length + bans.length;
    };
    time.now = day;
    index.forgetExpired();
    expect(remembered()).toBe(3);
    time.now = day + 1;
    index.forgetExpired();
    expect(remembered()).toBe(0);
    const hit = [entryOf('k'), entryOf('x', { tags: ['t'] }), entryOf('p/x')];
    expect(hit.map((entry) => index.isValid(entry))).toEqual([false, false, false]);
    expect(index.isValid(entryOf('k', { stamp: at(1) }))).toBe(true);
  });

  it('marks keys for this process until their message is applied, whatever is missed meanwhile', () => {
    const index = fresh();
    const place = index.mark(['k']);
    expect(index.isValid(entryOf('k', { stamp: at(7) }))).toBe(false);
    expect(index.isValid(entryOf('k\nvariant', { stamp: at(7) }))).toBe(false);
    expect(index.isValid(entryOf('k', { stamp: index.position() }))).toBe(true);
    index.restartAt(at(5));
    expect(index.isValid(entryOf('k', { stamp: at(5) }))).toBe(false);
    index.invalidate(targets({ keys: ['k'] }), at(6));
    index.unmark(['k'], place);
    expect(index.isValid(entryOf('k', { stamp: at(5) }))).toBe(false);
    expect(index.isValid(entryOf('k', { stamp: at(6) }))).toBe(true);
  });

  it('says after a restore what it said before', () => {
    const index = fresh();
    index.invalidate(targets({ keys: ['k'], tags: ['t'], prefixes: ['p/'], patterns: ['*g'] }), at(1));
    index.continueAs('b');
    index.invalidate(targets({ keys: ['late'] }), at(1, 'b'));
    const copy = new InvalidationIndex(at(0, 'fresh'));
    copy.restore(JSON.parse(JSON.stringify(index.snapshot())));

    const stamps = [at(0, 'a'), at(1, 'a'), at(2, 'a'), at(0, 'b'), at(1, 'b'), at(0, 'fresh')];
    const entries = ['k', 'x', 'p/x', 'xg', 'late'].flatMap((key) =>
      stamps.flatMap((stamp) => [entryOf(key, { stamp }), entryOf(key, { stamp, tags: ['t'] })]),
    );
    expect(entries.map((entry) => copy.isValid(entry))).toEqual(entries.map((entry) => index.isValid(entry)));
    expect(copy.position()).toEqual(index.position());
  });
});
