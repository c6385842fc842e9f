import { gaussian, permutation, type Random, seededRandom } from '../random';
import { Adam } from './adam';
import type { Impression } from './clicks';
import { at, forward, type Network, parameterLayout, scale } from './network';

/** How a network is trained. */
export interface TrainingOptions {
  /** Units of the hidden layer. */
  readonly hidden: number;
  readonly epochs: number;
  /** Impressions averaged into one step. */
  readonly batchSize: number;
  readonly learningRate: number;
  /** Seed of the initial weights and of the order of the impressions. */
  readonly seed: number;
}

/**
 * Fits a network to impressions: mini-batch Adam on the cross-entropy of clicks.
 * @throws RangeError when there is nothing to learn from
 */
export function trainNetwork(impressions: readonly Impression[], options: TrainingOptions): Network {
  const first = impressions[0];
  if (first === undefined) throw new RangeError('training needs at least one impression');
  const inputs = first.features.length;
  const scaling = measureScaling(impressions, inputs);
  const rows = impressions.map(({ features }) => scale(scaling, features));
  const labels = Float64Array.from(impressions, ({ clicked }) => (clicked ? 1 : 0));

  const random = seededRandom(options.seed);
  const parameters = initialParameters(random, inputs, options.hidden);
  const adam = new Adam(parameters, options.learningRate);
  const gradient = new Float64Array(parameters.length);
  const activations = new Float64Array(options.hidden);

  for (let epoch = 0; epoch < options.epochs; epoch++) {
    const order = permutation(random, rows.length);
    for (let start = 0; start < order.length; start += options.batchSize) {
      const batch = order.subarray(start, start + options.batchSize);
      gradient.fill(0);
      for (const index of batch) {
        const row = rows[index];
        if (row === undefined) continue;
        const { score } = forward(parameters, options.hidden, row, activations);
        addGradient(gradient, parameters, row, activations, (score - at(labels, index)) / batch.length);
      }
      adam.step(gradient);
    }
  }
  return { inputs, hidden: options.hidden, ...scaling, parameters: Float32Array.from(parameters) };
}

/** Mean and standard deviation of each feature. A constant feature keeps the deviation 1, so that scaling never divides by 0. */
function measureScaling(impressions: readonly Impression[], inputs: number): Pick<Network, 'mean' | 'deviation'> {
  const mean = new Float32Array(inputs);
  const deviation = new Float32Array(inputs);
  for (let input = 0; input < inputs; input++) {
    const values = impressions.map(({ features }) => at(features, input));
    const average = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - average) ** 2, 0) / values.length;
    mean[input] = average;
    deviation[input] = Math.sqrt(variance) || 1;
  }
  return { mean, deviation };
}

/** Normal weights of variance 2 / fan-in, for ReLU units (He et al., ICCV 2015); zero biases. */
function initialParameters(random: Random, inputs: number, hidden: number): Float64Array {
  const layout = parameterLayout(inputs, hidden);
  const parameters = new Float64Array(layout.length);
  for (let i = 0; i < layout.hiddenBias; i++) parameters[i] = gaussian(random) * Math.sqrt(2 / inputs);
  for (let i = 0; i < hidden; i++) parameters[layout.outputWeights + i] = gaussian(random) * Math.sqrt(2 / hidden);
  return parameters;
}

/** Adds one row's gradient by back-propagation; `slope` is the loss's derivative by the logit, `score - label`. */
function addGradient(
  gradient: Float64Array,
  parameters: Float64Array,
  row: Float64Array,
  activations: Float64Array,
  slope: number,
): void {
  const hidden = activations.length;
  const inputs = row.length;
  const layout = parameterLayout(inputs, hidden);
  gradient[layout.outputBias] = at(gradient, layout.outputBias) + slope;
  for (let unit = 0; unit < hidden; unit++) {
    const activation = at(activations, unit);
    if (activation === 0) continue;
    const outputWeight = layout.outputWeights + unit;
    gradient[outputWeight] = at(gradient, outputWeight) + slope * activation;
    const unitSlope = slope * at(parameters, outputWeight);
    gradient[layout.hiddenBias + unit] = at(gradient, layout.hiddenBias + unit) + unitSlope;
    for (let input = 0; input < inputs; input++) {
      const weight = input * hidden + unit;
      gradient[weight] = at(gradient, weight) + unitSlope * at(row, input);
    }
  }
}
