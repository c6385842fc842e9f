import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { z } from 'zod';
import { connectControlPlane } from '../../lib/control/connect';
import { invalidate } from '../../lib/control/invalidate';
import type { ControlPlane } from '../../lib/control/plane';
import { publishModel } from '../../lib/control/publish';
import { rollbackModel } from '../../lib/control/rollback';
import { readStatus } from '../../lib/control/status';
import { GoldenSample } from '../../lib/core/manifest';
import { GLOBAL_REGION } from '../../lib/core/resource-names';
import { RANKER_MODEL } from '../../models/build';
import type { RunningLocalCdn } from '../compose';
import { checkFirstPrediction, type FirstModel } from '../first-model';
import { PROJECT_ROOT } from '../state';

/** Longest that any step of an operation may take before it counts as failed, ms. */
const STEP_TIMEOUT_MS = 15_000;
const TIMEOUTS = { replicationMs: STEP_TIMEOUT_MS, prepareMs: STEP_TIMEOUT_MS, activateMs: STEP_TIMEOUT_MS };

/** Addresses of viewers near each region that the probes visit. */
const VIEWERS: Readonly<Record<string, string>> = { 'us-east-1': '3.14.10.10', 'eu-west-1': '2.7.10.10' };

/** What the probes work on. */
export interface ProbedCdn {
  readonly cdn: RunningLocalCdn;
  readonly regions: readonly string[];
  readonly model: FirstModel;
}

/** One end-to-end probe; rejects with what it saw. */
export interface Probe {
  readonly name: string;
  run(probed: ProbedCdn, plane: ControlPlane): Promise<void>;
}

const Prediction = z.looseObject({ edge_region: z.string(), version: z.string(), cached: z.boolean() });

async function publish(plane: ControlPlane, version: string): Promise<void> {
  const directory = join(PROJECT_ROOT, '.build', 'models', RANKER_MODEL, version);
  await publishModel(
    {
      name: RANKER_MODEL,
      version,
      onnx: await readFile(join(directory, 'model.onnx')),
      golden: z.array(GoldenSample).parse(JSON.parse(await readFile(join(directory, 'golden.json'), 'utf8'))),
      timeouts: TIMEOUTS,
    },
    plane,
  );
}

function ask({ cdn }: ProbedCdn, region: string, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${cdn.url}${path}`, {
    ...init,
    headers: { 'content-type': 'application/json', 'x-viewer-ip': VIEWERS[region] ?? '' },
    signal: AbortSignal.timeout(STEP_TIMEOUT_MS),
  });
}

async function expectPrediction(response: Response, expected: Partial<z.infer<typeof Prediction>>): Promise<void> {
  const body = await response.text();
  if (response.status !== 200) throw new Error(`${response.status} ${body.slice(0, 200)}`);
  const seen = Prediction.parse(JSON.parse(body));
  const odd = Object.entries(expected).find(([name, value]) => seen[name] !== value);
  if (odd) throw new Error(`${odd[0]} is ${seen[odd[0]]}, not ${odd[1]}`);
}

/** Fails unless every region answers with this version of the model. */
async function expectVersion(probed: ProbedCdn, version: string): Promise<void> {
  const features = probed.model.rows[4];
  for (const edge_region of probed.regions) {
    const body = JSON.stringify({ model: RANKER_MODEL, features });
    await expectPrediction(await ask(probed, edge_region, '/predict', { method: 'POST', body }), {
      version,
      edge_region,
    });
  }
}

/** What an owner and a viewer do in the first minutes, in order: later probes need what earlier ones did. */
export const PROBES: readonly Probe[] = [
  { name: 'publish', run: (_, plane) => publish(plane, '1') },
  { name: 'first prediction', run: ({ cdn, model }) => checkFirstPrediction(cdn.url, model) },
  {
    name: 'predict twice, by the default model',
    async run(probed) {
      for (const edge_region of probed.regions) {
        const init = { method: 'POST', body: JSON.stringify({ features: probed.model.rows[1] }) };
        await expectPrediction(await ask(probed, edge_region, '/predict', init), { edge_region });
        await expectPrediction(await ask(probed, edge_region, '/predict', init), { edge_region, cached: true });
      }
    },
  },
  {
    name: 'GET twice',
    async run(probed) {
      const path = `/predict?model=${RANKER_MODEL}&features=${probed.model.rows[2]?.join(',')}`;
      for (const edge_region of probed.regions) {
        await expectPrediction(await ask(probed, edge_region, path), { edge_region });
        const again = await ask(probed, edge_region, path);
        const pop = again.headers.get('x-cache') ?? '';
        if (!/^hit/i.test(pop)) throw new Error(`the second GET in ${edge_region} is "${pop}", not a hit`);
        await again.arrayBuffer();
      }
    },
  },
  {
    name: 'artifact',
    async run(probed) {
      for (const region of probed.regions) {
        const there = await ask(probed, region, `/models/${RANKER_MODEL}/1/model.onnx`);
        const none = await ask(probed, region, `/models/${RANKER_MODEL}/999/model.onnx`);
        await Promise.all([there.arrayBuffer(), none.arrayBuffer()]);
        const statuses = `${there.status} and ${none.status}`;
        if (statuses !== '200 and 404')
          throw new Error(`an artifact and one that is missing: ${statuses} in ${region}`);
      }
    },
  },
  { name: 'schedules', run: ({ cdn }) => cdn.fireSchedules() },
  {
    name: 'invalidate --wait',
    async run(_, plane) {
      await invalidate({ models: [RANKER_MODEL], wait: true, timeoutMs: STEP_TIMEOUT_MS }, plane);
    },
  },
  {
    name: 'publish the next version, roll back',
    async run(probed, plane) {
      await publish(plane, '2');
      await expectVersion(probed, '2');
      await rollbackModel({ name: RANKER_MODEL, timeouts: TIMEOUTS }, plane);
      await expectVersion(probed, '1');
    },
  },
  {
    name: 'status',
    async run(_, plane) {
      const { problems } = await readStatus(plane);
      if (problems.length > 0) throw new Error(problems.join('; '));
    },
  },
];

/** The control plane of a running local CDN, through the SDK's own settings as the CLI's is. */
export async function probedPlane({ cdn, regions }: ProbedCdn): Promise<ControlPlane> {
  Object.assign(process.env, cdn.awsEnvironment(cdn.homeRegion));
  const { account, homeRegion } = cdn;
  const cloudFormation = new CloudFormationClient({ region: GLOBAL_REGION });
  return connectControlPlane({ environment: 'local', account, homeRegion, regions }, cloudFormation);
}
