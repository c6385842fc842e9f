import fc from 'fast-check';
import { areaUnderCurve } from '../../models/ranker/auc';

const click = (score: number) => ({ score, clicked: true });
const skip = (score: number) => ({ score, clicked: false });

describe('area under the ROC curve', () => {
  it('is 1 for a perfect order, 0 for the reverse, a half for ties', () => {
    expect(areaUnderCurve([skip(0.1), skip(0.2), click(0.3)])).toBe(1);
    expect(areaUnderCurve([click(0.1), skip(0.2), skip(0.3)])).toBe(0);
    expect(areaUnderCurve([click(0.5), skip(0.5), skip(0.5)])).toBe(0.5);
  });

  it('equals the share of pairs in the right order', () => {
    const scored = fc.array(fc.record({ score: fc.integer({ min: 0, max: 5 }), clicked: fc.boolean() }), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(scored, (rows) => {
        const clicks = rows.filter(({ clicked }) => clicked);
        const others = rows.filter(({ clicked }) => !clicked);
        fc.pre(clicks.length > 0 && others.length > 0);
        const pairs = clicks.flatMap((a) => others.map((b) => (a.score > b.score ? 1 : a.score === b.score ? 0.5 : 0)));
        const share = pairs.reduce<number>((sum, value) => sum + value, 0) / pairs.length;
        expect(areaUnderCurve(rows)).toBeCloseTo(share, 12);
      }),
    );
  });

  it('is not defined for one class alone', () => {
    expect(() => areaUnderCurve([click(0.3)])).toThrow('AUC needs both classes, got 1 clicks of 1');
  });
});
