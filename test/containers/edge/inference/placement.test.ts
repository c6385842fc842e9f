import { mayRunInline } from '../../../../containers/edge/inference/placement';
import type { TensorSpec } from '../../../../lib/core/manifest';

const spec = (datatype: TensorSpec['datatype'], shape: number[]): TensorSpec => ({ name: 'x', datatype, shape });
const facts = (...operators: string[]) => ({ externalLocations: new Set<string>(), operators: new Set(operators) });
const rows = [spec('FP32', [-1, 4])];

it('takes what is measured to be short, and nothing else', () => {
  expect(mayRunInline(0.29, rows, facts('MatMul', 'Relu'))).toBe(true);
  expect(mayRunInline(0.3, rows, facts('MatMul', 'Relu'))).toBe(false);
  expect(mayRunInline(Number.POSITIVE_INFINITY, rows, facts('MatMul'))).toBe(false);
});

it.each(['Loop', 'Scan', 'Range', 'ConstantOfShape'])('does not take %s, whose time an input decides', (operator) => {
  expect(mayRunInline(0.01, rows, facts('MatMul', operator))).toBe(false);
});

it('does not take inputs that grow along another axis than the batch', () => {
  expect(mayRunInline(0.01, [spec('FP32', [-1, -1])], facts('MatMul'))).toBe(false);
  expect(mayRunInline(0.01, [spec('FP32', [-1, 4]), spec('FP32', [2, -1])], facts('MatMul'))).toBe(false);
});

it('does not take what may divide integers, which ends the process for -2^31 / -1', () => {
  expect(mayRunInline(0.01, [spec('INT32', [-1, 4])], facts('Div'))).toBe(false);
  expect(mayRunInline(0.01, rows, facts('Cast', 'Mod'))).toBe(false);
  expect(mayRunInline(0.01, rows, facts('Div'))).toBe(true);
  expect(mayRunInline(0.01, [spec('INT32', [-1, 4])], facts('Add'))).toBe(true);
});
