import type { GoldenSample } from '../../lib/core/manifest';
import { encodeOnnx } from '../onnx/writer';
import { SAMPLE_VIEWERS } from './features';
import { type Network, parameterLayout, predict } from './network';

/** Names of the model's input and output. */
export const RANKER_INPUT = 'features';
export const RANKER_OUTPUT = 'score';

/** Encodes a trained network as ONNX: raw features `[-1, inputs]` in, click probability `[-1, 1]` out. */
export function networkToOnnx(network: Network, version: number, description: string): Uint8Array {
  const { inputs, hidden, parameters } = network;
  const layout = parameterLayout(inputs, hidden);
  return encodeOnnx({
    name: 'ranker',
    description,
    version,
    inputs: [{ name: RANKER_INPUT, dims: ['rows', inputs] }],
    outputs: [{ name: RANKER_OUTPUT, dims: ['rows', 1] }],
    initializers: [
      { name: 'mean', dims: [inputs], values: network.mean },
      { name: 'deviation', dims: [inputs], values: network.deviation },
      {
        name: 'hidden_weights',
        dims: [inputs, hidden],
        values: parameters.subarray(layout.hiddenWeights, layout.hiddenBias),
      },
      { name: 'hidden_bias', dims: [hidden], values: parameters.subarray(layout.hiddenBias, layout.outputWeights) },
      {
        name: 'output_weights',
        dims: [hidden, 1],
        values: parameters.subarray(layout.outputWeights, layout.outputBias),
      },
      { name: 'output_bias', dims: [1], values: parameters.subarray(layout.outputBias) },
    ],
    nodes: [
      { operator: 'Sub', inputs: [RANKER_INPUT, 'mean'], output: 'centred' },
      { operator: 'Div', inputs: ['centred', 'deviation'], output: 'scaled' },
      { operator: 'Gemm', inputs: ['scaled', 'hidden_weights', 'hidden_bias'], output: 'hidden' },
      { operator: 'Relu', inputs: ['hidden'], output: 'activations' },
      { operator: 'Gemm', inputs: ['activations', 'output_weights', 'output_bias'], output: 'logit' },
      { operator: 'Sigmoid', inputs: ['logit'], output: RANKER_OUTPUT },
    ],
  });
}

/** Golden samples: each sample viewer alone, and all of them as one batch. */
export function goldenSamples(network: Network): GoldenSample[] {
  const rows = SAMPLE_VIEWERS.map(({ features }) => features);
  return [...rows.map((row) => [row]), rows].map((batch) => ({
    inputs: [
      {
        name: RANKER_INPUT,
        datatype: 'FP32',
        shape: [batch.length, network.inputs],
        data: batch.flatMap((row) => [...row]),
      },
    ],
    outputs: [
      {
        name: RANKER_OUTPUT,
        datatype: 'FP32',
        shape: [batch.length, 1],
        data: batch.map((row) => predict(network, row)),
      },
    ],
  }));
}
