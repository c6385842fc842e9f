import { InvalidationIndex } from '../../../../containers/edge/cache/invalidation-index';
import { KeyInvalidation } from '../../../../containers/edge/cache/key-invalidation';
import type { InvalidateMessage } from '../../../../lib/core/control-message';
import { ControlMessage } from '../../../../lib/core/control-message';
import { collectingLog, entryOf } from './fixtures';

function setUp(maxUnderWay = 5, gatherMs = 0) {
  const index = new InvalidationIndex({ epoch: 'a', seq: 0 });
  const sent: { readonly message: InvalidateMessage; readonly onApplied: () => void }[] = [];
  const log = collectingLog();
  const keys = new KeyInvalidation(index, (message, onApplied) => sent.push({ message, onApplied }), log, {
    maxUnderWay,
    gatherMs,
  });
  let seq = 0;
  const bringBack = (): void => {
    const next = sent.shift();
    if (!next) throw new Error('nothing is under way');
    index.invalidate(next.message.targets, { epoch: 'a', seq: ++seq });
    next.onApplied();
  };
  const isValid = (key: string) => index.isValid(entryOf(key, { stamp: { epoch: 'a', seq } }));
  return { index, sent, log, keys, bringBack, isValid };
}

describe('invalidation of keys by this process', () => {
  it('holds from the call until the message is back, and by the message from then on', () => {
    const { keys, isValid, bringBack, index } = setUp();
    const before = entryOf('k', { stamp: index.position() });
    keys.invalidate(['k']);
    expect([isValid('k'), isValid('other')]).toEqual([false, true]);
    bringBack();
    expect([index.isValid(before), isValid('k')]).toEqual([false, true]);
  });

  it('keeps the mark of a second invalidation when the first comes back', () => {
    const { keys, isValid, bringBack } = setUp();
    keys.invalidate(['k']);
    keys.invalidate(['k']);
    bringBack();
    expect(isValid('k')).toBe(false);
    bringBack();
    expect(isValid('k')).toBe(true);
  });

  it('gathers keys into one message, invalid from the first moment', () => {
    jest.useFakeTimers();
    try {
      const { keys, sent, isValid, bringBack } = setUp(100, 10);
      keys.invalidate(['a']);
      keys.invalidate(['b', 'a']);
      expect([sent.length, isValid('a'), isValid('b')]).toEqual([0, false, false]);
      jest.advanceTimersByTime(10);
      expect(sent.map(({ message }) => message.targets.keys)).toEqual([['a', 'b']]);
      keys.invalidate(['a']);
      bringBack();
      expect([isValid('a'), isValid('b')]).toEqual([false, true]);
      keys.flush();
      bringBack();
      expect(isValid('a')).toBe(true);
    } finally {
      jest.useRealTimers();
    }
  });

  it('sends messages that every task understands, however many and long the keys are', () => {
    const { keys, sent, isValid } = setUp(10_000);
    const long = 'x'.repeat(3_000);
    keys.invalidate([...Array.from({ length: 2_500 }, (_, i) => `k${i}`), long]);
    expect(sent.map(({ message }) => ControlMessage.safeParse(message).success)).toEqual([true, true, true, true]);
    expect(sent.at(-1)?.message.targets.prefixes).toEqual([long.slice(0, 2_048)]);
    expect(isValid(long)).toBe(false);
  });

  it('becomes one invalidation of everything when too many wait, again if more come meanwhile', () => {
    const { keys, sent, isValid, bringBack, log } = setUp(2);
    keys.invalidate(['a', 'b']);
    keys.invalidate(['c']);
    expect(log.said).toHaveLength(1);
    expect([sent.length, isValid('c'), isValid('anything')]).toEqual([2, false, false]);
    keys.invalidate(['d']);
    expect(sent).toHaveLength(2);
    bringBack();
    bringBack();
    expect([sent.length, isValid('d')]).toEqual([1, false]);
    bringBack();
    expect([sent.length, isValid('d'), isValid('anything')]).toEqual([0, true, true]);
  });

  it('refuses an empty key', () => {
    expect(() => setUp().keys.invalidate([''])).toThrow('a key has at least one character');
  });
});
