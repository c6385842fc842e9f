/** @jest-environment ./test/support/onnx-environment.cjs */
import type { HttpService } from '../../../support/http-service';
import { rawRequest } from '../../../support/raw-http';
import { startTwoVersions } from '../../../support/two-versions';
import { comparable } from './comparable';

const LIVE = 'x-mlcdn-live-version';

let edge: HttpService;

beforeAll(async () => {
  edge = await startTwoVersions();
});
afterAll(() => edge.stop());

/** The same request in front of the router and, by a query that says nothing, behind it. */
const ask = (path: string) => (body: string, headers: Record<string, string>) =>
  rawRequest(edge.url, { method: 'POST', path, headers, body });
const asHot = ask('/batch_predict');
const asRouted = ask('/batch_predict?');

describe('POST /batch_predict in front of the router', () => {
  it.each([
    ['rows', '{"features":[[1,2,3],[4,5,6]]}', {}],
    ['one row twice', '{"features":[[1,2,3],[1,2,3]]}', {}],
    ['a version', '{"features":[[1,2,3]],"model":"tiny","version":9}', {}],
    ['the version that a POP knows', '{"features":[[1,2,3]]}', { [LIVE]: '9' }],
    ['a form, as curl declares it', '{"features":[[1,2,3]]}', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['another type', '{"features":[[1,2,3]]}', { 'content-type': 'text/plain' }],
    ['bytes that are no UTF-8', Buffer.from('{"features":[[1,2,3]],"model":"\xff"}', 'latin1').toString('latin1'), {}],
    ['half a text', '{"features":[[1,2', {}],
    ['nothing', '', {}],
    ['no rows', '{"features":[]}', {}],
    ['a row that is none', '{"features":[1,2,3]}', {}],
    ['a short row', '{"features":[[1,2,3],[1,2]]}', {}],
    ['a row with a text', '{"features":[[1,2,3],[1,2,"x"]]}', {}],
    ['an unknown field', '{"rows":[]}', {}],
    ['an unknown model', '{"features":[[1,2,3]],"model":"othér"}', {}],
    ['a deadline that is none', '{"features":[[1,2,3]]}', { 'x-request-timeout-ms': 'soon' }],
  ])('says what the router says to %s', async (_what, body, headers) => {
    for (let time = 0; time < 2; time++) await asRouted(body, headers);
    const routed = comparable(await asRouted(body, headers));
    for (let time = 0; time < 2; time++) expect(comparable(await asHot(body, headers))).toEqual(routed);
  });

  it('counts what it answers by the slowest tier', async () => {
    const ofOrigin = async () => {
      const text = await edge.metrics.registry.metrics();
      return Number(/cdn_request_latency_seconds_count\{.*cache_level="origin".*\} (\d+)/.exec(text)?.[1] ?? 0);
    };
    await asHot('{"features":[[7,7,7]]}', {});
    const before = await ofOrigin();
    await asHot('{"features":[[7,7,7]]}', {});
    expect(await ofOrigin()).toBe(before);
    const { body } = await asHot('{"features":[[7,7,7],[7,7,8]]}', {});
    expect(JSON.parse(body)).toMatchObject({ predictions: [210, 220], cached: [true, false] });
    expect(await ofOrigin()).toBe(before + 1);
  });
});
