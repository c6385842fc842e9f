import { setTimeout as delay } from 'node:timers/promises';
import { CloudFrontClient } from '@aws-sdk/client-cloudfront';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { z } from 'zod';
import { perRegion } from '../../lib/aws/per-region';
import { readEnvironment } from '../environment';
import { Entrances } from './entrances';
import { KeySecrets } from './key-secrets';
import { Sender } from './sender';
import { runStep, STEPS } from './steps';

/** What a step leaves of its time, to end by an error of its own instead of Lambda's, ms. */
const SPARE_MS = 10_000;

const name = (meaning: string) => z.string({ error: `must be ${meaning}` }).min(1, { error: `must be ${meaning}` });

const variables = readEnvironment(
  z.object({
    FIRST_KEY_SECRET: name('the name of the secret of the first key'),
    SECOND_KEY_SECRET: name('the name of the secret of the second key'),
    LOAD_BALANCER_NAME: name('the name of the load balancer of every region'),
    DISTRIBUTION_ID: name('the id of the distribution'),
    REGIONS: name('a comma-separated list of regions').transform((list) => list.split(',')),
    SETTLE_SECONDS: z.coerce.number({ error: 'must be a number of seconds' }).min(0),
    /** Set by Lambda. */
    AWS_REGION: name('the region of the secrets'),
  }),
  process.env,
);

const RotationEvent = z.object({
  SecretId: z.string(),
  ClientRequestToken: z.string().min(1),
  Step: z.enum(STEPS),
});

const secrets = new KeySecrets({
  client: perRegion((region) => new SecretsManagerClient({ region })),
  primaryRegion: variables.AWS_REGION,
  names: { first: variables.FIRST_KEY_SECRET, second: variables.SECOND_KEY_SECRET },
});
const entrances = new Entrances({
  client: perRegion((region) => new ElasticLoadBalancingV2Client({ region })),
  loadBalancerName: variables.LOAD_BALANCER_NAME,
  regions: variables.REGIONS,
});
const sender = new Sender(new CloudFrontClient({}), variables.DISTRIBUTION_ID);

/**
 * One step of a rotation, as Secrets Manager asks for it.
 * @throws Error when the event is none of a rotation of the first key, or saying what is in the step's way
 */
export async function handler(event: unknown, context: { getRemainingTimeInMillis(): number }): Promise<void> {
  const parsed = RotationEvent.safeParse(event);
  if (!parsed.success) throw new Error(`not an event of a rotation: ${z.prettifyError(parsed.error)}`);
  const { SecretId, ClientRequestToken, Step } = parsed.data;
  if (!SecretId.includes(`:secret:${variables.FIRST_KEY_SECRET}-`)) {
    throw new Error(`SecretId ${SecretId} must be the secret ${variables.FIRST_KEY_SECRET}, which renews both keys`);
  }
  await runStep(Step, ClientRequestToken, {
    ...{ secrets, entrances, sender },
    settleMs: variables.SETTLE_SECONDS * 1000,
    remainingMs: () => context.getRemainingTimeInMillis() - SPARE_MS,
    pause: (ms) => delay(ms),
  });
  console.log(JSON.stringify({ event: 'rotation-step', step: Step, token: ClientRequestToken }));
}
