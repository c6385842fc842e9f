import { seededRandom } from '../random';
import { areaUnderCurve } from './auc';
import { generateImpressions, type Impression } from './clicks';
import { type Network, predict } from './network';
import { type TrainingOptions, trainNetwork } from './training';

const TRAINING_DATA_SEED = 20_261_101;
const HELD_OUT_DATA_SEED = 20_261_102;
const HELD_OUT_IMPRESSIONS = 20_000;

/** A version of `ranker` as it is trained: version 2 sees more impressions for longer, with a wider hidden layer. */
interface Recipe extends TrainingOptions {
  readonly version: number;
  readonly impressions: number;
}

const RECIPES: readonly Recipe[] = [
  { version: 1, impressions: 6_000, hidden: 16, epochs: 3, batchSize: 64, learningRate: 0.003, seed: 1 },
  { version: 2, impressions: 16_000, hidden: 32, epochs: 10, batchSize: 64, learningRate: 0.003, seed: 2 },
];

/** A trained version with its quality on impressions that no version was trained on. */
export interface TrainedVersion {
  readonly version: number;
  readonly network: Network;
  readonly heldOutAuc: number;
  /** One line for people: architecture, data and quality. */
  readonly description: string;
}

/** Trains every version of `ranker`, in order. The same Node version gives the same networks, bit by bit. */
export function* trainRankerVersions(): Generator<TrainedVersion> {
  const heldOut = generateImpressions(seededRandom(HELD_OUT_DATA_SEED), HELD_OUT_IMPRESSIONS);
  for (const { version, impressions, ...options } of RECIPES) {
    const training = generateImpressions(seededRandom(TRAINING_DATA_SEED), impressions);
    const network = trainNetwork(training, options);
    const heldOutAuc = measureAuc(network, heldOut);
    const description =
      `click-through ranker ${version}: ${network.inputs}-${network.hidden}-1 MLP, ${options.epochs} epochs over ` +
      `${impressions} synthetic impressions, held-out AUC ${heldOutAuc.toFixed(4)}`;
    yield { version, network, heldOutAuc, description };
  }
}

function measureAuc(network: Network, impressions: readonly Impression[]): number {
  return areaUnderCurve(impressions.map(({ features, clicked }) => ({ score: predict(network, features), clicked })));
}
