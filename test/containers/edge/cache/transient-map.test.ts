import { TransientMap } from '../../../../containers/edge/cache/transient-map';

describe('a map of what comes and goes', () => {
  it('holds what a Map does, through many removals', () => {
    const map = new TransientMap<number>();
    const model = new Map<string, number>();
    for (let i = 0; i < 5_000; i++) {
      map.set(`key ${i % 700}`, i);
      model.set(`key ${i % 700}`, i);
      const gone = `key ${(i * 31) % 900}`;
      map.delete(gone);
      model.delete(gone);
      expect(map.get(gone)).toBeUndefined();
      if (i % 100 === 0) expect([...map.values()]).toEqual([...model.values()]);
    }
    expect(model.size).toBeGreaterThan(0);
    for (const [key, value] of model) expect(map.get(key)).toBe(value);
  });
});
