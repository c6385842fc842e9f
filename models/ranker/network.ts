/**
 * A network of one hidden layer for a probability: `sigmoid(relu((x - mean) / deviation . W1 + b1) . W2 + b2)`.
 * Parameters are one flat vector, so that the optimiser need not know the layers:
 * W1 row-major `[inputs, hidden]`, then b1 `[hidden]`, W2 `[hidden]`, b2 `[1]`.
 */
export interface Network {
  readonly inputs: number;
  readonly hidden: number;
  /** Centre and spread of each feature in the training data. */
  readonly mean: Float32Array;
  readonly deviation: Float32Array;
  readonly parameters: Float32Array;
}

/** Where each layer starts in the flat parameter vector. */
export function parameterLayout(inputs: number, hidden: number) {
  const hiddenBias = inputs * hidden;
  const outputWeights = hiddenBias + hidden;
  const outputBias = outputWeights + hidden;
  return { hiddenWeights: 0, hiddenBias, outputWeights, outputBias, length: outputBias + 1 } as const;
}

/** Element of a numeric array; a wrong index is an error instead of a silent `NaN`. */
export function at(values: ArrayLike<number>, index: number): number {
  const value = values[index];
  if (value === undefined) throw new RangeError(`index ${index} is outside an array of ${values.length} numbers`);
  return value;
}

/** Result of a forward pass; `activations` are those of the hidden layer, after ReLU. */
export interface Forward {
  readonly score: number;
  readonly activations: Float64Array;
}

/** Runs the network on an already scaled row. */
export function forward(
  parameters: ArrayLike<number>,
  hidden: number,
  scaled: ArrayLike<number>,
  activations = new Float64Array(hidden),
): Forward {
  const inputs = scaled.length;
  const layout = parameterLayout(inputs, hidden);
  let logit = at(parameters, layout.outputBias);
  for (let unit = 0; unit < hidden; unit++) {
    let sum = at(parameters, layout.hiddenBias + unit);
    for (let input = 0; input < inputs; input++) {
      sum += at(scaled, input) * at(parameters, input * hidden + unit);
    }
    const activation = Math.max(0, sum);
    activations[unit] = activation;
    logit += activation * at(parameters, layout.outputWeights + unit);
  }
  return { score: 1 / (1 + Math.exp(-logit)), activations };
}

/** Brings a raw row to zero mean and unit spread, as the exported model does. */
export function scale(network: Pick<Network, 'mean' | 'deviation'>, features: readonly number[]): Float64Array {
  return Float64Array.from(features, (value, i) => (value - at(network.mean, i)) / at(network.deviation, i));
}

/**
 * Probability for a raw row, in double precision from the single-precision parameters: independent of ONNX Runtime,
 * so fit for golden samples.
 */
export function predict(network: Network, features: readonly number[]): number {
  if (features.length !== network.inputs) {
    throw new RangeError(`features must have ${network.inputs} numbers, got ${features.length}`);
  }
  return forward(network.parameters, network.hidden, scale(network, features)).score;
}
