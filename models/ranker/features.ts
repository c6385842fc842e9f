/**
 * The input of the project's own model `ranker`: what is known of a viewer, an item and the page at the moment a
 * recommendation is to be ranked. Clients send raw values in this order; scaling is part of the model.
 */
export const RANKER_FEATURES = [
  /** Viewer's local time, hours since midnight, 0 to 24. */
  'hour',
  /** Clicks of the viewer in the last seven days, 0 to 60. */
  'clicks_7d',
  /** How much of the viewer's reading is in the item's category, 0 to 1. */
  'category_affinity',
  /** Price of the item, US dollars. */
  'price_usd',
  /** What the viewer usually spends on an item, US dollars. */
  'usual_spend_usd',
  /** Days since the item appeared, 0 to 60. */
  'item_age_days',
  /** Mean rating of the item, 1 to 5. */
  'item_rating',
  /** Place on the page, 1 (top) to 20. */
  'position',
] as const;

/** One row of features, in the order of `RANKER_FEATURES`. */
export type FeatureRow = readonly [number, number, number, number, number, number, number, number];

/** A viewer looking at an item, for demonstrations and golden samples. */
export interface SampleViewer {
  readonly description: string;
  readonly features: FeatureRow;
}

/** Viewers who differ in what makes them click. */
export const SAMPLE_VIEWERS: readonly SampleViewer[] = [
  { description: 'evening reader, new item of a loved category', features: [20.5, 24, 0.9, 18, 20, 1, 4.6, 1] },
  { description: 'the same reader before dawn', features: [4.5, 24, 0.9, 18, 20, 1, 4.6, 1] },
  { description: 'first visit, unknown taste', features: [13, 0, 0.1, 35, 30, 12, 3.9, 3] },
  { description: 'bargain hunter shown a luxury', features: [19, 12, 0.5, 180, 12, 6, 4.2, 2] },
  { description: 'steady customer, matching price', features: [18.25, 40, 0.65, 60, 58, 3, 4.1, 4] },
  { description: 'item gone stale', features: [20, 15, 0.8, 25, 25, 55, 4.4, 2] },
  { description: 'poorly rated item', features: [21, 18, 0.7, 22, 25, 4, 1.8, 2] },
  { description: 'bottom of the page', features: [20, 18, 0.7, 22, 25, 4, 4.3, 20] },
];
