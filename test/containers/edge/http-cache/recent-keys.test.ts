import { RecentKeys } from '../../../../containers/edge/http-cache/recent-keys';

describe('what is remembered of a key', () => {
  it('is forgotten when its time is over', () => {
    let now = 0;
    const keys = new RecentKeys<string>(() => now);
    keys.set('a', 'x', 100);
    expect([keys.get('a'), keys.get('b')]).toEqual(['x', undefined]);
    now = 99;
    expect(keys.get('a')).toBe('x');
    now = 100;
    expect(keys.get('a')).toBeUndefined();
    now = 50;
    expect(keys.get('a')).toBeUndefined();
  });

  it('is what was said last, for as long as was said last', () => {
    let now = 0;
    const keys = new RecentKeys<string>(() => now);
    keys.set('a', 'x', 100);
    keys.set('a', 'y', 10);
    expect(keys.get('a')).toBe('y');
    now = 10;
    expect(keys.get('a')).toBeUndefined();
    keys.set('a', 'z', 10);
    keys.delete('a');
    expect(keys.get('a')).toBeUndefined();
  });

  it('is of ten thousand keys at most; those set longest ago go first', () => {
    const keys = new RecentKeys<number>(() => 0);
    for (let i = 0; i < 10_000; i++) keys.set(String(i), i, 1);
    keys.set('0', 0, 1);
    keys.set('new', 1, 1);
    expect([keys.get('0'), keys.get('1'), keys.get('2'), keys.get('new')]).toEqual([0, undefined, 2, 1]);
  });
});
