import { setTimeout as delay } from 'node:timers/promises';
// The KeyValueStore API accepts asymmetric signatures only; importing this registers the signer with the SDK.
import '@aws-sdk/signature-v4a';
import { CloudFrontKeyValueStoreClient } from '@aws-sdk/client-cloudfront-keyvaluestore';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { z } from 'zod';
import { updateRoutingTable } from '../../lib/aws/routing-table-store';
import type { RegionReading } from '../../lib/core/routing-table';
import { readEnvironment } from '../environment';
import { measureRegions, nextTable } from './measure';

/** Longest wait for one region: a region that hangs must not keep the others' numbers back, ms. */
const STATUS_TIMEOUT_MS = 8_000;

const { KEY_VALUE_STORE_ARN, STATUS_FUNCTION_NAME, REGIONS } = readEnvironment(
  z.object({
    KEY_VALUE_STORE_ARN: z.string({ error: 'must be the ARN of the KeyValueStore' }).startsWith('arn:'),
    STATUS_FUNCTION_NAME: z.string({ error: "must name the regions' status function" }).min(1),
    REGIONS: z
      .string({ error: 'must be a comma-separated list of regions' })
      .min(1)
      .transform((list) => list.split(',')),
  }),
  process.env,
);

const keyValueStore = new CloudFrontKeyValueStoreClient({});
const lambdas = new Map(REGIONS.map((region) => [region, new LambdaClient({ region })]));

/** Measures every region and publishes what the viewer-request function chooses by. Fails when it cannot publish. */
export async function handler(): Promise<readonly RegionReading[]> {
  const measured = await measureRegions(REGIONS, readStatus);
  const store = { client: keyValueStore, arn: KEY_VALUE_STORE_ARN, pause: (ms: number) => delay(ms) };
  await updateRoutingTable(store, (table) => nextTable(table, measured, Date.now() / 1000));
  console.log(JSON.stringify({ event: 'region-scores', regions: measured }));
  return measured;
}

async function readStatus(region: string): Promise<unknown> {
  const command = new InvokeCommand({ FunctionName: STATUS_FUNCTION_NAME, Payload: Buffer.from('{}') });
  const answer = await lambdas.get(region)?.send(command, { abortSignal: AbortSignal.timeout(STATUS_TIMEOUT_MS) });
  const payload = Buffer.from(answer?.Payload ?? []).toString('utf8');
  if (answer?.FunctionError) throw new Error(`${STATUS_FUNCTION_NAME} failed: ${payload}`);
  return JSON.parse(payload);
}
