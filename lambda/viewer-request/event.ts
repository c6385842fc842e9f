/**
 * The event of a CloudFront Function on viewer request, as far as it is used here.
 * Source: Amazon CloudFront developer guide, "CloudFront Functions event structure".
 */

/** A header, cookie or query parameter. `multiValue` holds all values when it occurs more than once. */
export interface EventField {
  value: string;
  multiValue?: { value: string }[];
}

export interface ViewerRequest {
  method: string;
  uri: string;
  querystring: { [name: string]: EventField };
  /** Names are lower-case. */
  headers: { [name: string]: EventField };
}

export interface ViewerRequestEvent {
  viewer: { ip: string };
  request: ViewerRequest;
}

/** An answer that the function gives itself. */
export interface ViewerResponse {
  statusCode: number;
  statusDescription: string;
  headers: { [name: string]: EventField };
  body: { encoding: 'text'; data: string };
}
