import { Breaker } from '../../../../containers/edge/cache/breaker';

describe('Breaker', () => {
  let now = 0;
  const make = () => new Breaker(3, 1_000, () => now);
  const fail = (breaker: Breaker, times: number) => {
    for (let i = 0; i < times; i++) breaker.failed();
  };

  it('opens after failures in a row, and not before', () => {
    const breaker = make();
    fail(breaker, 2);
    breaker.succeeded();
    fail(breaker, 2);
    expect([breaker.allows(), breaker.isOpen()]).toEqual([true, false]);
    fail(breaker, 1);
    expect([breaker.allows(), breaker.isOpen()]).toEqual([false, true]);
  });

  it('lets one attempt through after the pause, and its outcome decides', () => {
    const breaker = make();
    fail(breaker, 3);
    now += 999;
    expect(breaker.allows()).toBe(false);
    now += 1;
    expect([breaker.allows(), breaker.allows()]).toEqual([true, false]);
    fail(breaker, 1);
    expect(breaker.allows()).toBe(false);
    now += 1_000;
    expect([breaker.allows(), breaker.isOpen()]).toEqual([true, true]);
    breaker.succeeded();
    expect([breaker.allows(), breaker.allows(), breaker.isOpen()]).toEqual([true, true, false]);
  });

  it('opens when too large a share fails although none fail in a row', () => {
    const breaker = make();
    let attempts = 0;
    while (!breaker.isOpen() && attempts < 200) {
      attempts += 1;
      if (attempts % 2 === 0) breaker.failed();
      else breaker.succeeded();
    }
    expect(attempts).toBeLessThan(200);
    now += 1_000;
    breaker.allows();
    breaker.succeeded();
    fail(breaker, 2);
    expect(breaker.isOpen()).toBe(false);
  });

  it('stays closed while one in five fails', () => {
    const breaker = make();
    for (let i = 0; i < 1_000; i++) {
      if (i % 5 === 0) breaker.failed();
      else breaker.succeeded();
    }
    expect(breaker.isOpen()).toBe(false);
  });
});
