import { Breaker } from '../../../../containers/edge/cache/breaker';

describe('Breaker', () => {
  let now = 0;
  const make = () => new Breaker(3, 1_000, () => now);
  const fail = (breaker: Breaker) => expect(breaker.watch(Promise.reject(new Error('down')))).rejects.toThrow('down');

  it('opens after failures in a row, and not before', async () => {
    const breaker = make();
    await fail(breaker);
    await fail(breaker);
    await breaker.watch(Promise.resolve());
    await fail(breaker);
    await fail(breaker);
    expect(breaker.allows()).toBe(true);
    await fail(breaker);
    expect(breaker.allows()).toBe(false);
  });

  it('lets one attempt through after the pause, and its outcome decides', async () => {
    const breaker = make();
    for (let i = 0; i < 3; i++) await fail(breaker);
    now += 1_000;
    expect([breaker.allows(), breaker.allows()]).toEqual([true, false]);
    await fail(breaker);
    expect(breaker.allows()).toBe(false);
    now += 1_000;
    expect(breaker.allows()).toBe(true);
    await expect(breaker.watch(Promise.resolve('up'))).resolves.toBe('up');
    expect([breaker.allows(), breaker.allows()]).toEqual([true, true]);
  });
});
