import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { viewerRequestCode } from '../../lib/constructs/viewer-request-function';

/**
 * The compiled function on njs, the engine that CloudFront Functions are built on. Debian packages it as `njs`.
 */
const NJS_MISSING = spawnSync('njs', ['-v']).error !== undefined;

/** The helper module, recording what the function asked of it. */
const HELPERS = (store: Record<string, string>) => `
var store = ${JSON.stringify(store)};
globalThis.groups = [];
export default {
  kvs: function () {
    return { get: function (key) {
      return key in store ? Promise.resolve(store[key]) : Promise.reject(new Error('KeyNotFound'));
    } };
  },
  createRequestOriginGroup: function (group) { globalThis.groups.push(group); },
};
`;

interface Fields {
  readonly [name: string]: { readonly value: string };
}

interface Outcome {
  readonly result: { statusCode?: number; querystring?: Fields; headers?: Fields };
  readonly groups: readonly { readonly originIds: readonly { readonly originId: string }[] }[];
}

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'mlcdn-njs-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function runFunction(request: object, store: Record<string, string> = {}): Outcome {
  const code = viewerRequestCode({ defaultModel: 'ranker', originIds: ['edge', 'edge-failover'] });
  writeFileSync(join(directory, 'cloudfront'), HELPERS(store));
  writeFileSync(
    join(directory, 'main.js'),
    `${code}\nhandler({ request: ${JSON.stringify(request)} }).then(function (result) {
      console.log(JSON.stringify({ result: result, groups: globalThis.groups }));
    });`,
  );
  const { stdout, stderr } = spawnSync('njs', ['-p', directory, 'main.js'], { cwd: directory, encoding: 'utf8' });
  if (!stdout.startsWith('{')) throw new Error(`njs: ${stdout}${stderr}`);
  return JSON.parse(stdout) as Outcome;
}

const get = (uri: string, querystring: Fields = {}, headers: Fields = {}) => ({
  method: 'GET',
  uri,
  querystring,
  headers,
});

(NJS_MISSING ? describe.skip : describe)(
  NJS_MISSING
    ? 'the viewer-request function on njs (skipped: install the Debian package njs)'
    : 'the viewer-request function on njs',
  () => {
    test('puts the live version of the model into the cache key and makes the query canonical', () => {
      const { result, groups } = runFunction(
        get(
          '/predict',
          { utm: { value: 'x' }, features: { value: '1.50,02' } },
          { 'x-mlcdn-live-version': { value: 'forged' } },
        ),
        { 'live:ranker': '7' },
      );
      expect(result.headers).toEqual({ 'x-mlcdn-live-version': { value: '7' } });
      expect(result.querystring).toEqual({ features: { value: '1.5,2' }, model: { value: 'ranker' } });
      expect(groups.map((group) => group.originIds.map((origin) => origin.originId))).toEqual([
        ['edge', 'edge-failover'],
      ]);
    });

    test('drops a forged version header when the store knows none', () => {
      const { result } = runFunction(
        get('/predict', { features: { value: '1' } }, { 'x-mlcdn-live-version': { value: '9' } }),
      );
      expect(result.headers).toEqual({});
    });

    test('keeps a version that the client pins, and leaves POST to one origin', () => {
      const pinned = runFunction(get('/predict', { features: { value: '1' }, version: { value: '2' } }), {
        'live:ranker': '7',
      });
      expect(pinned.result.querystring?.version).toEqual({ value: '2' });
      expect(pinned.result.headers).toEqual({});
      expect(runFunction({ ...get('/predict'), method: 'POST' }).groups).toEqual([]);
    });

    test.each(['/metrics', '/METRICS/', '/%6detrics', '//metrics'])('answers 404 to %s', (uri) => {
      expect(runFunction(get(uri)).result.statusCode).toBe(404);
    });
  },
);

test('the compiled function is refused when it is larger than CloudFront allows', () => {
  expect(() => viewerRequestCode({ defaultModel: 'm'.repeat(11_000), originIds: ['edge'] })).toThrow(
    /10240|10,240|10 KB/,
  );
});
