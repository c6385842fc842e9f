import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { rotateOriginKey } from '../../../lib/control/rotate-origin-key';
import { ORIGIN_KEYS, originKeySecretName } from '../../../lib/core/origin-keys';
import { SecretsStandIn } from '../../../local/secretsmanager/secrets-stand-in';
import { clientSettings, resource, testPlatform } from '../../local/support/platform';
import { FakeAccount } from '../../support/aws';

const FUNCTION = 'arn:aws:lambda:us-east-1:111122223333:function:rotate';
const SCOPE = { environment: 'dev', account: '111122223333' };
const platform = testPlatform();

let fault: string | undefined;
let secrets: SecretsStandIn;
let client: SecretsManagerClient;

/** Renews both keys without anything else: what follows them is the function's own matter. */
async function renew(payload: string) {
  const { ClientRequestToken: token, Step } = JSON.parse(payload) as { ClientRequestToken: string; Step: string };
  if (Step === fault) return { payload: 'it cannot be', functionError: true };
  const [first, second] = ORIGIN_KEYS.map((key) => secrets.secretNamed(originKeySecretName(SCOPE, key)));
  if (Step === 'createSecret') first?.put(token, `first ${token}`, ['AWSPENDING']);
  if (Step === 'setSecret') second?.put(token, `second ${token}`, ['AWSCURRENT']);
  if (Step === 'finishSecret') first?.move('AWSCURRENT', token);
  return { payload: 'null', functionError: false };
}

async function deploy(...types: string[]): Promise<void> {
  const start = (type: string, id: string, properties: Record<string, unknown>) =>
    secrets.modules
      .find((module) => module.type === `AWS::SecretsManager::${type}`)
      ?.start(resource(`AWS::SecretsManager::${type}`, id, properties));
  for (const key of ORIGIN_KEYS) {
    const GenerateSecretString = { ExcludePunctuation: true };
    if (types.includes('Secret'))
      await start('Secret', key, { Name: originKeySecretName(SCOPE, key), GenerateSecretString });
  }
  if (!types.includes('RotationSchedule')) return;
  await start('RotationSchedule', 'Schedule', {
    SecretId: originKeySecretName(SCOPE, 'first'),
    RotationLambdaARN: FUNCTION,
    RotationRules: { AutomaticallyAfterDays: 30 },
    RotateImmediatelyOnUpdate: false,
  });
}

function plane() {
  const account = new FakeAccount().plane();
  // Rotations of the stand-in take real time, a little.
  const clock = { now: () => performance.now(), sleep: () => new Promise<void>((resolve) => setTimeout(resolve, 5)) };
  return { ...account, scope: SCOPE, clock, clients: { ...account.clients, secrets: client } };
}

let current: SecretsStandIn['api'] | undefined;
beforeAll(() => {
  platform.get().front.serve({
    signingName: 'secretsmanager',
    handle: (request, response, context) => current?.handle(request, response, context),
  });
  client = new SecretsManagerClient(clientSettings(platform.get()));
});
beforeEach(() => {
  fault = undefined;
  secrets = new SecretsStandIn({ find: () => ({ invoke: renew }), permits: () => true }, () => {});
  current = secrets.api;
});
afterEach(() => secrets.close());
afterAll(() => client.destroy());

test('renews both keys, says each step, and when the next rotation will be', async () => {
  await deploy('Secret', 'RotationSchedule');
  const said: string[] = [];
  const result = await rotateOriginKey({}, plane(), (line) => said.push(line));
  expect(result).toMatchObject({ environment: 'dev', resumed: false });
  const days = (Date.parse(result.nextRotation ?? '') - Date.now()) / 86_400_000;
  expect(days).toBeCloseTo(30, 1);
  expect(secrets.value(originKeySecretName(SCOPE, 'first'), 'us-east-1')).toBe(`first ${result.version}`);
  expect(secrets.value(originKeySecretName(SCOPE, 'second'), 'us-east-1')).toBe(`second ${result.version}`);
  expect(said.map((line) => line.replace(result.version, 'V'))).toEqual([
    'rotation V of the origin keys begins',
    'the second key is renewed; load balancers and CloudFront follow',
    'the first key is renewed; load balancers and CloudFront follow',
  ]);
});

test('finishes a rotation that was not complete', async () => {
  await deploy('Secret', 'RotationSchedule');
  fault = 'setSecret';
  const failed = rotateOriginKey({ timeoutMs: 100 }, plane());
  await expect(failed).rejects.toThrow(
    /^rotation .* is not complete \(neither key is renewed; requests are not affected\); the log of function mlcdn-dev-origin-key-rotation in us-east-1 says why, docs\/runbooks\/origin-key-rotation.md what to do after 0.1 s/,
  );
  fault = undefined;
  const said: string[] = [];
  const result = await rotateOriginKey({}, plane(), (line) => said.push(line));
  expect(result.resumed).toBe(true);
  expect(said[0]).toBe(`rotation ${result.version} was not complete; Secrets Manager tries it again`);
});

test('says what has to be deployed first', async () => {
  await expect(rotateOriginKey({}, plane())).rejects.toThrow(
    'there is no secret mlcdn-dev-origin-key-first in us-east-1: deploy mlcdn-dev-keys first',
  );
  await deploy('Secret');
  await expect(rotateOriginKey({}, plane())).rejects.toThrow(
    'mlcdn-dev-origin-key-first has no rotation: deploy mlcdn-dev-global first',
  );
});
