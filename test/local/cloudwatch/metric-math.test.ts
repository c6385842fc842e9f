import { type Points, parseMetricMath } from '../../../local/cloudwatch/metric-math';

const none = undefined;

function compute(expression: string, series: Record<string, Points>): Points {
  return parseMetricMath(expression).compute((id) => series[id] ?? []);
}

describe('metric math', () => {
  test.each<[string, Record<string, Points>, Points]>([
    ['2 + 3 * a - b / 2', { a: [1, 2], b: [2, 4] }, [4, 6]],
    ['(a + b) * -2', { a: [1], b: [2] }, [-6]],
    ['a - b - 1', { a: [5], b: [2] }, [2]],
    ['a > 1', { a: [1, 2] }, [0, 1]],
    ['a > 0 AND b + c > 10 OR a == 9', { a: [1, 1, 9], b: [5, 5, 0], c: [5, 6, 0] }, [0, 1, 1]],
    ['IF(a > 100, 100 * b / a, 0)', { a: [100, 200], b: [50, 50] }, [0, 25]],
    ['IF(a, b, c)', { a: [1, 0, none], b: [1, 1, 1], c: [2, 2, 2] }, [1, 2, none]],
    ['FILL(a, 7) + 1', { a: [none, 1] }, [8, 2]],
    ['MAX([a, b])', { a: [1, none, none], b: [3, 2, none] }, [3, 2, none]],
    ['SUM([FILL(a, 0), b]) + MIN([a, b]) + AVG([a, b])', { a: [2], b: [4] }, [11]],
  ])('%s', (expression, series, expected) => {
    expect(compute(expression, series)).toEqual(expected);
  });

  test('has no result where an operand has no value or the result is no number', () => {
    expect(compute('a + b', { a: [1, none], b: [none, 1] })).toEqual([none, none]);
    expect(compute('a / b', { a: [0, 1], b: [0, 0] })).toEqual([none, none]);
  });

  test.each([
    ["SEARCH('{mlcdn}', 'Sum')", /is not understood here/],
    ['RATE(a)', /function RATE is not run here/],
    ['FILL(a, REPEAT)', /REPEAT is not understood here/],
    ['IF(a, 1)', /IF takes a condition and two values/],
    ['a ^ 2', /"\^ 2" is not understood here/],
    ['a +', /it ends too early/],
    ['(a', /it ends too early/],
    ['a b', /b is not expected there/],
    ['1 + 1', /it names no metric/],
  ])('refuses %s', (expression, why) => {
    expect(() => parseMetricMath(expression)).toThrow(why);
  });
});
