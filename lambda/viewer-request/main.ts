import cf from 'cloudfront';
import type { ViewerRequest, ViewerRequestEvent, ViewerResponse } from './event';
import { handle, type Settings } from './handle';

/** Put in place of this name by the build. */
declare const SETTINGS: Settings;

/** Entry point; CloudFront calls the global function of this name. */
export async function handler(event: ViewerRequestEvent): Promise<ViewerRequest | ViewerResponse> {
  return handle(event, SETTINGS, cf);
}
