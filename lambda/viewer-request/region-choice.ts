import type { CloudFrontHelpers } from 'cloudfront';
import type { Place } from '../../lib/core/geo';
import { type RoutableRegion, rankRegions, viewerMargin } from '../../lib/core/routing-score';
import { decodeRoutingTable, isCurrent, ROUTING_TABLE_KEY } from '../../lib/core/routing-table';
import type { ViewerRequestEvent } from './event';

/** Latitude and longitude by region: degrees, as the function's code carries them. */
export interface RegionPlaces {
  [region: string]: [number, number];
}

function placeOf(region: string, places: RegionPlaces): Place | undefined {
  const found = places[region];
  return found && { lat: found[0], lon: found[1] };
}

function degrees(text: string | undefined): number {
  return text ? Number(text) : Number.NaN;
}

/**
 * Where a request comes from: the viewer, where the behaviour's policy asks CloudFront for the position headers, else the
 * regional edge cache of the POP that runs this; `undefined` when neither is known.
 */
function origin(event: ViewerRequestEvent, cf: CloudFrontHelpers, places: RegionPlaces): Place | undefined {
  const latitude = event.request.headers['cloudfront-viewer-latitude'];
  const longitude = event.request.headers['cloudfront-viewer-longitude'];
  const viewer = { lat: degrees(latitude?.value), lon: degrees(longitude?.value) };
  if (Math.abs(viewer.lat) <= 90 && Math.abs(viewer.lon) <= 180) return viewer;
  return cf.edgeLocation ? placeOf(cf.edgeLocation.region, places) : undefined;
}

/**
 * Regions for a request by score, the best first. Empty, so that latency routing decides, when the table cannot be read,
 * is stale, or the request's origin is unknown.
 */
export async function regionsByScore(
  event: ViewerRequestEvent,
  cf: CloudFrontHelpers,
  places: RegionPlaces,
  scoredRegions: readonly string[],
): Promise<string[]> {
  let text: string;
  try {
    text = await cf.kvs().get(ROUTING_TABLE_KEY, { format: 'string' });
  } catch (_missing) {
    return [];
  }
  const table = decodeRoutingTable(text);
  const from = origin(event, cf, places);
  if (table === undefined || from === undefined || !isCurrent(table, Date.now() / 1000)) return [];
  const candidates: RoutableRegion[] = [];
  table.regions.forEach((row) => {
    const place = placeOf(row.region, places);
    if (place === undefined || scoredRegions.indexOf(row.region) < 0) return;
    candidates.push({ region: row.region, place, state: row.state, load: row.load, hitRate: row.hitRate });
  });
  return rankRegions(candidates, from, viewerMargin(event.viewer.ip));
}
