/** @jest-environment ./test/support/onnx-environment.cjs */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { encodeOnnx, type Graph } from '../../models/onnx/writer';

const scaled: Graph = {
  name: 'scaled',
  description: 'multiplies each column by its own factor',
  version: 1,
  inputs: [{ name: 'x', dims: ['rows', 2] }],
  outputs: [{ name: 'y', dims: ['rows', 2] }],
  initializers: [{ name: 'factor', dims: [2], values: Float32Array.of(2, -0.5) }],
  nodes: [{ operator: 'Mul', inputs: ['x', 'factor'], output: 'y' }],
};

describe('ONNX writer', () => {
  it('writes a model that ONNX Runtime loads and runs', async () => {
    const session = await InferenceSession.create(encodeOnnx(scaled));
    const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 2, 3, 4), [2, 2]) });
    expect([...(y?.data ?? [])]).toEqual([2, -1, 6, -2]);
    expect(y?.dims).toEqual([2, 2]);
    await session.release();
  });

  it('refuses a tensor that does not fill its shape', () => {
    const short = { ...scaled, initializers: [{ name: 'factor', dims: [3], values: Float32Array.of(1, 2) }] };
    expect(() => encodeOnnx(short)).toThrow('initializer factor of shape [3] needs 3 values, got 2');
  });
});
