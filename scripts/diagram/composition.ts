/** A point of the composition, in columns and rows from the upper left. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

const at = (x: number, y: number): Point => ({ x, y });

/** Where the known roles stand: requests run down the middle, health to their right, control below them. */
const PLACES: Readonly<Record<string, Point>> = {
  viewers: at(2, 0),
  operator: at(4, 0),
  store: at(0, 1),
  'edge-function': at(1, 1),
  distribution: at(2, 1),
  'region-scores': at(0, 2),
  'origin-key-rotation': at(1, 2),
  names: at(2, 2),
  health: at(3, 2),
  bucket: at(4, 2),
  replica: at(1, 3.3),
  balancer: at(2, 3.3),
  alarms: at(3, 3.3),
  status: at(0, 4.3),
  cache: at(1, 4.3),
  service: at(2, 4.3),
  'alarm-topic': at(3, 4.3),
  'on-call': at(4, 4.3),
  invalidation: at(1, 5.3),
  'control-topic': at(2, 5.3),
  origin: at(3, 6.2),
};

/** Points through which an arrow goes round what stands between its ends. */
const DETOURS: Readonly<Record<string, readonly Point[]>> = {
  'operator store': [at(3.68, 0.46), at(0, 0.46)],
  'operator distribution': [at(3.82, 0.9)],
  'operator health': [at(3.96, 1.42), at(3.15, 1.42)],
  'operator bucket': [at(4.2, 1)],
  'operator control-topic': [at(4.55, 0), at(4.55, 5.3)],
  'origin-key-rotation distribution': [at(1.25, 1.52), at(1.62, 1.52)],
  'distribution bucket': [at(3.8, 1.14)],
  'distribution replica': [at(1.46, 1.3), at(1.46, 2.5), at(0.88, 2.5)],
  'bucket replica': [at(3.85, 2.64), at(1.12, 2.64)],
  'bucket service': [at(4.1, 3.82), at(2.3, 3.82)],
  'replica service': [at(1, 3.82), at(1.75, 3.82)],
  'service origin': [at(2.5, 6.2)],
};

/** The places of roles; one that the composition does not know stands in a row of its own below the others. */
export function placesOf(keys: readonly string[]): Map<string, Point> {
  const unknown = keys.filter((key) => !(key in PLACES));
  return new Map(keys.map((key) => [key, PLACES[key] ?? at(unknown.indexOf(key), 7.2)]));
}

/** Points between the ends of an arrow. */
export function detourOf(from: string, to: string): readonly Point[] {
  return DETOURS[`${from} ${to}`] ?? [];
}
