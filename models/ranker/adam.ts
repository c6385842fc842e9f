import { at } from './network';

const FIRST_MOMENT_DECAY = 0.9;
const SECOND_MOMENT_DECAY = 0.999;
const EPSILON = 1e-8;

/**
 * The Adam optimiser (Kingma and Ba, ICLR 2015, algorithm 1) over one flat parameter vector, with the paper's decay
 * rates. `step` moves the parameters in place against the gradient.
 */
export class Adam {
  private readonly firstMoment: Float64Array;
  private readonly secondMoment: Float64Array;
  private steps = 0;

  constructor(
    private readonly parameters: Float64Array,
    private readonly learningRate: number,
  ) {
    this.firstMoment = new Float64Array(parameters.length);
    this.secondMoment = new Float64Array(parameters.length);
  }

  step(gradient: Float64Array): void {
    this.steps += 1;
    const firstCorrection = 1 - FIRST_MOMENT_DECAY ** this.steps;
    const secondCorrection = 1 - SECOND_MOMENT_DECAY ** this.steps;
    for (let i = 0; i < gradient.length; i++) {
      const slope = at(gradient, i);
      const first = FIRST_MOMENT_DECAY * at(this.firstMoment, i) + (1 - FIRST_MOMENT_DECAY) * slope;
      const second = SECOND_MOMENT_DECAY * at(this.secondMoment, i) + (1 - SECOND_MOMENT_DECAY) * slope * slope;
      this.firstMoment[i] = first;
      this.secondMoment[i] = second;
      const move = first / firstCorrection / (Math.sqrt(second / secondCorrection) + EPSILON);
      this.parameters[i] = at(this.parameters, i) - this.learningRate * move;
    }
  }
}
