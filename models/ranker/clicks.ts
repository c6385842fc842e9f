import { type Random, uniform } from '../random';
import type { FeatureRow } from './features';

/** One impression and whether the viewer clicked. */
export interface Impression {
  readonly features: FeatureRow;
  readonly clicked: boolean;
}

const INTEREST_FADES_DAYS = 18;
const EVENING_PEAK_HOUR = 20.5;

/**
 * Generates impressions. The data set is synthetic: no real viewer is in it. Clicks are drawn from a probability with
 * effects that a linear model cannot express (price against the viewer's usual spending, affinity fading with the
 * item's age, a daily rhythm), so that a larger network has something to gain.
 */
export function generateImpressions(random: Random, count: number): Impression[] {
  return Array.from({ length: count }, () => {
    const features = drawFeatures(random);
    return { features, clicked: random() < clickProbability(features) };
  });
}

function drawFeatures(random: Random): FeatureRow {
  const usualSpend = Math.exp(uniform(random, Math.log(5), Math.log(150)));
  return [
    uniform(random, 0, 24),
    Math.floor(60 * random() ** 2),
    random(),
    usualSpend * Math.exp(uniform(random, -1.5, 1.5)),
    usualSpend,
    60 * random() ** 2,
    uniform(random, 1, 5),
    1 + Math.floor(20 * random()),
  ];
}

/** The true probability of a click, which the model has to find from clicks alone. */
function clickProbability(features: FeatureRow): number {
  const [hour, clicks, affinity, price, usualSpend, ageDays, rating, position] = features;
  const rhythm = Math.cos(((hour - EVENING_PEAK_HOUR) / 24) * 2 * Math.PI);
  const interest = affinity * Math.exp(-ageDays / INTEREST_FADES_DAYS);
  const priceMismatch = Math.abs(Math.log(price / usualSpend));
  const logit =
    -1.2 +
    4.2 * interest +
    0.9 * rhythm +
    0.7 * (rating - 3.2) +
    0.35 * Math.log1p(clicks) -
    1.6 * priceMismatch -
    0.11 * (position - 1);
  return 1 / (1 + Math.exp(-logit));
}
