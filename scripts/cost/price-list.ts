import prices from '../../lib/config/prices.json';

/** Where the prices are from and when they were published. */
export const PRICE_SOURCE = { source: prices.source, published: prices.published };

type PerRegion = Readonly<Record<string, number>>;
type RegionalPrice = Exclude<keyof typeof prices, 'source' | 'published' | 'global' | 'valkeyNodeHour'>;

/** Price of a thing in a region, USD a month or an hour as its name says; `undefined`: the list has none. */
export function regionalPrice(name: RegionalPrice, region: string): number | undefined {
  const table: PerRegion = prices[name];
  return table[region];
}

/** Price of a Valkey node of a type in a region, USD an hour; `undefined`: the list has none. */
export function valkeyNodePrice(nodeType: string, region: string): number | undefined {
  const tables: Readonly<Record<string, PerRegion>> = prices.valkeyNodeHour;
  return tables[nodeType]?.[region];
}

/** Price of a thing that costs the same everywhere, USD a month. */
export function globalPrice(name: keyof typeof prices.global): number {
  return prices.global[name];
}
