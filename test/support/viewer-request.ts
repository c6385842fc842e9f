import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { viewerRequestCode } from '../../lib/constructs/viewer-request-function';
import type { RegionCode } from '../../lib/core/regions';

/** Whether njs, the engine that CloudFront Functions are built on, is missing. Debian packages it as `njs`. */
export const NJS_MISSING = spawnSync('njs', ['-v']).error !== undefined;

/** The helper module, recording what the function asked of it. */
const HELPERS = (store: Record<string, string>) => `
var store = ${JSON.stringify(store)};
globalThis.groups = [];
globalThis.selected = [];
export default {
  kvs: function () {
    return { get: function (key) {
      return key in store ? Promise.resolve(store[key]) : Promise.reject(new Error('KeyNotFound'));
    } };
  },
  createRequestOriginGroup: function (group) { globalThis.groups.push(group); },
  selectRequestOriginById: function (id) { globalThis.selected.push(id); },
  edgeLocation: { name: 'FRA', region: 'eu-central-1' },
};
`;

export interface Field {
  readonly value: string;
  readonly multiValue?: readonly { readonly value: string }[];
}

export interface Fields {
  readonly [name: string]: Field;
}

export interface ViewerResult {
  readonly statusCode?: number;
  readonly querystring?: Fields;
  readonly headers?: Fields;
}

/** What the function answered to each request, and the origin groups that it asked for on the way. */
export interface Outcome {
  readonly results: readonly ViewerResult[];
  readonly groups: readonly { readonly originIds: readonly { readonly originId: string }[] }[];
  /** Ids of the origins that were selected one at a time. */
  readonly selected: readonly string[];
}

/** Runs the compiled viewer-request function on njs for each request in turn, with a store of live versions. */
export function runViewerRequests(
  requests: readonly object[],
  store: Record<string, string> = {},
  scoredRegions: readonly RegionCode[] = [],
): Outcome {
  const directory = mkdtempSync(join(tmpdir(), 'mlcdn-njs-'));
  try {
    const code = viewerRequestCode({ defaultModel: 'ranker', originIds: ['edge', 'edge-failover'], scoredRegions });
    writeFileSync(join(directory, 'cloudfront'), HELPERS(store));
    writeFileSync(
      join(directory, 'main.js'),
      `${code}\nvar requests = ${JSON.stringify(requests)};
      Promise.all(requests.map(function (request) { return handler({ viewer: { ip: '192.0.2.1' }, request: request }); })).then(function (results) {
        require('fs').writeFileSync('outcome.json', JSON.stringify({ results: results, groups: globalThis.groups, selected: globalThis.selected }));
      });`,
    );
    // Not by standard output: njs drops what a pipe does not take at once.
    const { stdout, stderr } = spawnSync('njs', ['-p', directory, 'main.js'], { cwd: directory, encoding: 'utf8' });
    const outcome = join(directory, 'outcome.json');
    if (!existsSync(outcome)) throw new Error(`njs: ${stdout}${stderr}`);
    return JSON.parse(readFileSync(outcome, 'utf8')) as Outcome;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
