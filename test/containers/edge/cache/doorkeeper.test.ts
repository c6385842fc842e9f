import { Doorkeeper } from '../../../../containers/edge/cache/doorkeeper';

/** As prediction keys are: alike but for a digest at their end. */
const keyOf = (i: number): string => `predict/ranker/1/${Math.imul(i, 2654435761).toString(16).padStart(64, '0')}`;

describe('the doorkeeper', () => {
  it('knows a key from its second time on', () => {
    const doorkeeper = new Doorkeeper(1_000);
    expect([doorkeeper.knows('a'), doorkeeper.knows('b'), doorkeeper.knows('a'), doorkeeper.knows('a')]).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });

  it('takes hardly any new key for a known one', () => {
    const doorkeeper = new Doorkeeper(100_000);
    let known = 0;
    for (let i = 0; i < 50_000; i++) if (doorkeeper.knows(keyOf(i))) known += 1;
    expect(known).toBeLessThan(10);
  });

  it('remembers most of as many keys as it was made for, and forgets what was long ago', () => {
    const doorkeeper = new Doorkeeper(16_384);
    for (let i = 0; i < 200_000; i++) doorkeeper.knows(keyOf(i));
    const recent = Array.from({ length: 4_000 }, (_, i) => 199_999 - i).filter((i) => doorkeeper.knows(keyOf(i)));
    expect(recent.length).toBeGreaterThan(3_000);
    const old = Array.from({ length: 4_000 }, (_, i) => i).filter((i) => doorkeeper.knows(keyOf(i)));
    expect(old.length).toBeLessThan(40);
  });

  it('tells keys apart that differ at their beginning or in their length alone', () => {
    const doorkeeper = new Doorkeeper(1_000);
    expect(['', 'x', 'xx', 'xxx'].map((key) => doorkeeper.knows(key))).toEqual([false, false, false, false]);
    expect(['short/1', 'other/1'].map((key) => doorkeeper.knows(key))).toEqual([false, false]);
  });
});
