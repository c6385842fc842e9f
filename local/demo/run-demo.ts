import Table from 'cli-table3';
import type { Distances } from '../engine/network';
import type { Geo } from '../geo/viewer-places';
import { popToRegionMs, viewerToPopMs } from '../geo/wide-area';
import { type DemoRequest, type Observation, observe, zipfRequests } from './traffic';
import { VIEWERS } from './viewers';

const WARM_REQUESTS = 60;

export interface DemoOptions {
  /** URL of the CDN. */
  readonly url: string;
  /** URL of the home region's load balancer, for the comparison without a CDN. */
  readonly homeUrl: string;
  /** What the load balancer asks of its callers. */
  readonly homeHeaders: Readonly<Record<string, string>>;
  readonly homeRegion: string;
  readonly geo: Geo;
  readonly distances: Distances;
  /** Feature rows, most popular first. */
  readonly rows: readonly (readonly number[])[];
  /** Bytes sent to viewers and fetched from the regions so far, over all POPs. */
  bytes(): { readonly toViewers: number; readonly fromOrigins: number };
  print(line: string): void;
}

interface ViewerResult {
  readonly city: string;
  readonly region: string;
  readonly pop: string;
  readonly cold: Observation[];
  readonly warm: Observation[];
  readonly direct: Observation[];
}

async function inOrder<T, R>(items: readonly T[], send: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await send(item));
  return results;
}

async function runViewer(viewer: (typeof VIEWERS)[number], seed: number, options: DemoOptions): Promise<ViewerResult> {
  const place = options.geo.locate(viewer.ip);
  const pop = options.geo.nearestPop(place);
  const headers = { 'x-viewer-ip': viewer.ip };
  const warmRequests = zipfRequests(options.rows, WARM_REQUESTS, seed);
  const coldRequests = options.rows.map((features): DemoRequest => ({ method: 'GET', features }));
  const homeDelayMs = viewerToPopMs(place, pop) + popToRegionMs(pop, options.homeRegion, options.distances);

  const cold = await inOrder(coldRequests, (request) => observe(options.url, request, headers));
  const warm = await inOrder(warmRequests, (request) => observe(options.url, request, headers));
  const direct = await inOrder(warmRequests, (request) =>
    observe(options.homeUrl, request, options.homeHeaders, homeDelayMs),
  );
  return { city: place.city, region: cold[0]?.region ?? '', pop: pop.code, cold, warm, direct };
}

/** The smallest observed latency that at least the share `q` of observations does not exceed (nearest rank), ms. */
export function quantileMs(observations: readonly Observation[], q: number): number {
  const sorted = observations.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

function latency(observations: readonly Observation[]): string {
  return `${quantileMs(observations, 0.5).toFixed(0)} / ${quantileMs(observations, 0.99).toFixed(0)}`;
}

/** Share of observations that some cache answered. */
export function hitRate(observations: readonly Observation[]): number {
  return observations.filter(({ tier }) => tier !== 'computed').length / observations.length;
}

function tierShares(observations: readonly Observation[]): string {
  return ['pop', 'memory', 'l1', 'l2', 'computed']
    .map((tier) => ({ tier, count: observations.filter((o) => o.tier === tier).length }))
    .filter(({ count }) => count > 0)
    .map(({ tier, count }) => `${tier} ${Math.round((100 * count) / observations.length)} %`)
    .join(', ');
}

/**
 * Viewers in thirteen cities ask for predictions, first with cold caches, then warm, then the same requests once more
 * at the home region without the CDN; prints one table row a city.
 */
export async function runDemo(options: DemoOptions): Promise<void> {
  const before = options.bytes();
  options.print(`Viewers in ${VIEWERS.length} cities call the CDN (WAN distances are simulated delays) ...`);
  const results = await Promise.all(VIEWERS.map((viewer, i) => runViewer(viewer, i + 1, options)));
  const after = options.bytes();

  const table = new Table({
    head: ['city', 'POP', 'region', 'warm answers from', 'cold p50/p99', 'warm p50/p99', 'no CDN p50/p99', 'warm hits'],
    style: { head: [], border: [] },
    colAligns: ['left', 'left', 'left', 'left', 'right', 'right', 'right', 'right'],
  });
  for (const { city, pop, region, cold, warm, direct } of results) {
    const hits = `${Math.round(100 * hitRate(warm))} %`;
    table.push([city, pop, region, tierShares(warm), latency(cold), latency(warm), latency(direct), hits]);
  }
  const [cold, warm, direct] = (['cold', 'warm', 'direct'] as const).map((phase) => results.flatMap((r) => r[phase]));
  if (!cold || !warm || !direct) throw new Error('the demonstration has no observations');
  const hits = `${Math.round(100 * hitRate(warm))} %`;
  table.push(['all', '', '', tierShares(warm), latency(cold), latency(warm), latency(direct), hits]);
  options.print(table.toString());

  const toViewers = after.toViewers - before.toViewers;
  const fromOrigins = after.fromOrigins - before.fromOrigins;
  const saved = toViewers === 0 ? 0 : 1 - fromOrigins / toViewers;
  options.print(
    [
      'Latencies in ms at the viewer, simulated WAN included. "no CDN": the same requests straight to the load balancer',
      `of ${options.homeRegion}, whose own caches answer too. The traffic is ${options.rows.length} feature rows with Zipf(1)`,
      `popularity, 70 % GET; a real hit rate depends on the workload. Of ${toViewers} bytes sent to viewers ${fromOrigins}`,
      `came from the regions: ${Math.round(100 * saved)} % of the bytes were saved at the POPs.`,
    ].join('\n'),
  );
}
