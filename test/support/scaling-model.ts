import type { GoldenSample } from '../../lib/core/manifest';
import { encodeOnnx } from '../../models/onnx/writer';

/** The smallest model that can be told apart by its factor: `y = x * factor`, two columns, any number of rows. */
export function scalingModel(factor: number): Buffer {
  const graph = {
    name: 'scaling',
    description: 'multiplies by a factor',
    version: 1,
    inputs: [{ name: 'x', dims: ['rows', 2] }],
    outputs: [{ name: 'y', dims: ['rows', 2] }],
    initializers: [{ name: 'factor', dims: [1], values: Float32Array.of(factor) }],
    nodes: [{ operator: 'Mul', inputs: ['x', 'factor'], output: 'y' }],
  };
  return Buffer.from(encodeOnnx(graph));
}

/** A golden sample of the scaling model with this factor. */
export function scalingSample(factor: number): GoldenSample {
  return {
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, -2] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], data: [factor, -2 * factor] }],
  };
}
