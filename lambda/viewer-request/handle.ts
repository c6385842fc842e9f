import type { CloudFrontHelpers } from 'cloudfront';
import { canonicalPredictionQuery, decodeFormValue, type QueryValues } from '../../lib/core/canonical-query';
import type { EventField, ViewerRequest, ViewerRequestEvent, ViewerResponse } from './event';
import { type RegionPlaces, regionsByScore } from './region-choice';

/** What the infrastructure compiles into the function. */
export interface Settings {
  /** Model of a request that names none. */
  defaultModel: string;
  /** Ids of the origins that a request may go to, in order of preference. */
  originIds: string[];
  /** Regions that may be chosen by score, each with an origin of its own; empty where latency routing alone decides. */
  scoredRegions: string[];
  /** Id of a region's own origin, without the region. */
  regionOriginIdPrefix: string;
  /** Where regions are: those that may be chosen and those of CloudFront's regional edge caches. */
  places: RegionPlaces;
  /** Statuses of one origin that send a GET or HEAD to the next. */
  failoverStatuses: number[];
  /** Header that tells the service which version the cache key names. */
  liveVersionHeader: string;
  /** Key of a model's live version in the key value store, without the model's name. */
  liveVersionKeyPrefix: string;
}

function valuesOf(field: EventField): string[] {
  return field.multiValue ? field.multiValue.map((entry) => entry.value) : [field.value];
}

function queryValues(request: ViewerRequest): QueryValues {
  const query: QueryValues = {};
  Object.keys(request.querystring).forEach((name) => {
    const field = request.querystring[name];
    if (field) query[name] = valuesOf(field);
  });
  return query;
}

function eventFields(query: QueryValues): { [name: string]: EventField } {
  const fields: { [name: string]: EventField } = {};
  Object.keys(query).forEach((name) => {
    const values = query[name] || [];
    const entries = values.map((value) => ({ value }));
    const field: EventField = { value: values[0] || '' };
    if (entries.length > 1) field.multiValue = entries;
    fields[name] = field;
  });
  return fields;
}

/** Whether a path is for the operators alone, however it is spelt. */
function isPrivate(uri: string): boolean {
  return /^\/+metrics\/*$/i.test(decodeFormValue(uri));
}

/** The answer to a path that exists at the service but not through the CDN; same shape as the service's own errors. */
function notFound(uri: string): ViewerResponse {
  return {
    statusCode: 404,
    statusDescription: 'Not Found',
    headers: { 'content-type': { value: 'application/json' }, 'cache-control': { value: 'no-store' } },
    body: {
      encoding: 'text',
      data: JSON.stringify({ error: { code: 'not_found', message: `no resource at ${uri}` } }),
    },
  };
}

/** The live version of a model; `undefined` when the store does not know one or cannot be read. */
async function liveVersion(key: string, cf: CloudFrontHelpers): Promise<string | undefined> {
  try {
    return await cf.kvs().get(key, { format: 'string' });
  } catch (_unknownKey) {
    return undefined;
  }
}

/**
 * Gives a prediction its cache key: the canonical query and, unless the query pins a version, the model's live version.
 * An unknown live version leaves the header away; the service then answers with its own and forbids caching.
 */
async function namePrediction(request: ViewerRequest, settings: Settings, cf: CloudFrontHelpers): Promise<void> {
  const query = canonicalPredictionQuery(queryValues(request), settings.defaultModel);
  request.querystring = eventFields(query);
  const models = query.model || [];
  if (query.version !== undefined || models.length !== 1) return;
  const version = await liveVersion(settings.liveVersionKeyPrefix + models[0], cf);
  if (version !== undefined) request.headers[settings.liveVersionHeader] = { value: version };
}

/** Decides, for one viewer request, its cache key and the origins it may go to. */
export async function handle(
  event: ViewerRequestEvent,
  settings: Settings,
  cf: CloudFrontHelpers,
): Promise<ViewerRequest | ViewerResponse> {
  const request = event.request;
  if (isPrivate(request.uri)) return notFound(request.uri);

  // Only this function may say which version the cache key names.
  delete request.headers[settings.liveVersionHeader];

  const readOnly = request.method === 'GET' || request.method === 'HEAD';
  if (readOnly && request.uri === '/predict') await namePrediction(request, settings, cf);

  // The runtime knows no `await` in the arguments of a call.
  const originIds = await originIdsOf(event, settings, cf);
  chooseOrigins(readOnly, originIds, settings, cf);
  return request;
}

/** Origins of a request in order of preference: the best regions by score before those that latency routing names. */
async function originIdsOf(event: ViewerRequestEvent, settings: Settings, cf: CloudFrontHelpers): Promise<string[]> {
  if (settings.scoredRegions.length === 0) return settings.originIds;
  const regions = await regionsByScore(event, cf, settings.places, settings.scoredRegions);
  if (regions.length === 0) return settings.originIds;
  return regions.map((region) => settings.regionOriginIdPrefix + region).concat(settings.originIds);
}

/**
 * Names the origins to CloudFront, which refuses an origin group on a behaviour that allows POST: so the group is chosen
 * here, request by request. A request that is not read-only has one origin; its client decides whether to send it again.
 */
function chooseOrigins(readOnly: boolean, originIds: string[], settings: Settings, cf: CloudFrontHelpers): void {
  const first = originIds[0];
  const second = originIds[1];
  if (readOnly && first !== undefined && second !== undefined) {
    cf.createRequestOriginGroup({
      originIds: [{ originId: first }, { originId: second }],
      failoverCriteria: { statusCodes: settings.failoverStatuses },
    });
  } else if (first !== undefined && first !== settings.originIds[0]) {
    cf.selectRequestOriginById(first);
  }
}
