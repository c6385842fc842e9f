import { randomUUID } from 'node:crypto';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  RotateSecretCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { SecretsStandIn } from '../../../local/secretsmanager/secrets-stand-in';
import { clientSettings, resource, testPlatform } from '../support/platform';

const SECRET = {
  Name: 'key',
  GenerateSecretString: { PasswordLength: 48, ExcludePunctuation: true },
  ReplicaRegions: [{ Region: 'eu-west-1' }],
};
const FUNCTION = 'arn:aws:lambda:us-east-1:111122223333:function:rotate';

interface RotationEvent {
  readonly SecretId: string;
  readonly ClientRequestToken: string;
  readonly Step: string;
}

/** Lambda with one function, whose answer a test sets. */
class RotationLambda {
  readonly events: RotationEvent[] = [];
  permitted = true;
  onEvent: (event: RotationEvent) => Promise<void> = async () => {};

  find(arn: string) {
    if (arn !== FUNCTION) return undefined;
    return {
      invoke: async (payload: string) => {
        const event = JSON.parse(payload) as RotationEvent;
        this.events.push(event);
        try {
          await this.onEvent(event);
          return { payload: 'null', functionError: false };
        } catch (error) {
          return { payload: String(error), functionError: true };
        }
      },
    };
  }

  permits(): boolean {
    return this.permitted;
  }

  steps(): string[] {
    return this.events.splice(0).map(({ Step }) => Step);
  }
}

const lines: string[] = [];
/** Replications under way; a test lets them pass. */
let replications: (() => void)[] = [];
const replicate = () => {
  for (const run of replications.splice(0)) run();
};

function standIn(lambda = new RotationLambda()) {
  return new SecretsStandIn(
    lambda,
    (line) => lines.push(line),
    (_ms, run) => {
      replications.push(run);
      return () => {
        replications = replications.filter((other) => other !== run);
      };
    },
  );
}

function start(secrets: SecretsStandIn, properties: Record<string, unknown>) {
  return secrets.modules[0]?.start(resource('AWS::SecretsManager::Secret', 'Key', properties));
}

function schedule(secrets: SecretsStandIn, changes: Record<string, unknown> = {}) {
  const properties = {
    SecretId: 'key',
    RotationLambdaARN: FUNCTION,
    RotationRules: { AutomaticallyAfterDays: 30 },
    RotateImmediatelyOnUpdate: false,
    ...changes,
  };
  return secrets.modules[1]?.start(resource('AWS::SecretsManager::RotationSchedule', 'Schedule', properties));
}

test('a secret is generated at every start and is the same in its replicas only', async () => {
  const [one, another] = [standIn(), standIn()];
  await start(one, SECRET);
  await start(another, SECRET);
  expect(one.value('key', 'us-east-1')).toMatch(/^[A-Za-z0-9]{48}$/);
  expect(one.value('key', 'eu-west-1')).toBe(one.value('key', 'us-east-1'));
  expect(one.value('key', 'ap-northeast-1')).toBeUndefined();
  expect(another.value('key', 'us-east-1')).not.toBe(one.value('key', 'us-east-1'));
});

test('a second secret of the name, and one with a value in the template, are refused', async () => {
  const secrets = standIn();
  await start(secrets, SECRET);
  await expect(start(secrets, SECRET)).rejects.toThrow('the secret key exists already in us-east-1');
  await expect(start(secrets, { Name: 'plain', SecretString: 'x' })).rejects.toThrow('SecretString');
});

describe('over HTTP', () => {
  const platform = testPlatform();
  const lambda = new RotationLambda();
  const secrets = standIn(lambda);
  let client: SecretsManagerClient;
  let replica: SecretsManagerClient;

  beforeAll(async () => {
    platform.get().front.serve(secrets.api);
    client = new SecretsManagerClient(clientSettings(platform.get()));
    replica = new SecretsManagerClient(clientSettings(platform.get(), 'eu-west-1'));
    await start(secrets, SECRET);
  });
  afterAll(async () => {
    client.destroy();
    replica.destroy();
    await secrets.close();
  });
  beforeEach(() => {
    lambda.onEvent = async () => {};
    lambda.steps();
  });

  const read = async (from = client, more = {}) =>
    (await from.send(new GetSecretValueCommand({ SecretId: 'key', ...more }))).SecretString;
  const put = (token: string, value: string, stages?: string[]) =>
    client.send(
      new PutSecretValueCommand({
        ...{ SecretId: 'key', ClientRequestToken: token, SecretString: value },
        ...(stages ? { VersionStages: stages } : {}),
      }),
    );

  test('a value becomes current, the one before it AWSPREVIOUS, and replicas follow later; they take no change', async () => {
    const before = await read();
    const token = randomUUID();
    await put(token, 'new');
    expect(await read()).toBe('new');
    expect(await read(client, { VersionStage: 'AWSPREVIOUS' })).toBe(before);
    expect(await read(replica)).toBe(before);
    replicate();
    expect(await read(replica)).toBe('new');
    const change = new PutSecretValueCommand({ SecretId: 'key', ClientRequestToken: token, SecretString: 'x' });
    await expect(replica.send(change)).rejects.toThrow('is a replica in eu-west-1');
  });

  test('a version keeps its value: the same again is well, another is refused', async () => {
    const token = randomUUID();
    await put(token, 'pending', ['AWSPENDING']);
    await put(token, 'pending', ['AWSPENDING']);
    await expect(put(token, 'other', ['AWSPENDING'])).rejects.toMatchObject({ name: 'ResourceExistsException' });
    expect(await read(client, { VersionId: token, VersionStage: 'AWSPENDING' })).toBe('pending');
    expect(await read()).not.toBe('pending');
  });

  test('a label moves only from the version that is said to have it', async () => {
    const token = randomUUID();
    await put(token, 'next', ['AWSPENDING']);
    const move = (RemoveFromVersionId: string | undefined) =>
      client.send(
        new UpdateSecretVersionStageCommand({
          ...{ SecretId: 'key', VersionStage: 'AWSCURRENT', MoveToVersionId: token, RemoveFromVersionId },
        }),
      );
    await expect(move(undefined)).rejects.toMatchObject({ name: 'InvalidParameterException' });
    const { VersionIdsToStages = {} } = await client.send(new DescribeSecretCommand({ SecretId: 'key' }));
    const [current] = Object.entries(VersionIdsToStages).find(([, stages]) => stages.includes('AWSCURRENT')) ?? [];
    await move(current);
    expect(await read()).toBe('next');
    await client.send(
      new UpdateSecretVersionStageCommand({ SecretId: 'key', VersionStage: 'AWSPENDING', RemoveFromVersionId: token }),
    );
  });

  test('a schedule tries testSecret on a version that it takes away again, and needs the permission to call', async () => {
    lambda.permitted = false;
    await expect(schedule(secrets)).rejects.toThrow('has no AWS::Lambda::Permission for secretsmanager.amazonaws.com');
    lambda.permitted = true;
    await expect(schedule(secrets, { RotateImmediatelyOnUpdate: true })).rejects.toThrow('starts with the deployment');
    lambda.onEvent = async () => {
      throw new Error('no entrance');
    };
    await expect(schedule(secrets)).rejects.toThrow('testSecret of key: Error: no entrance');
    lambda.onEvent = async () => {};
    lambda.steps();
    await schedule(secrets);
    expect(lambda.steps()).toEqual(['testSecret']);
    const { VersionIdsToStages = {} } = await client.send(new DescribeSecretCommand({ SecretId: 'key' }));
    expect(Object.values(VersionIdsToStages).flat()).not.toContain('AWSPENDING');
  });

  test('a rotation calls the four steps in order, and is tried again from the first when one fails', async () => {
    const failures = ['setSecret'];
    lambda.onEvent = async ({ Step, ClientRequestToken, SecretId }) => {
      if (failures[0] === Step) throw new Error(`not yet: ${failures.shift()}`);
      if (Step === 'createSecret') await put(ClientRequestToken, 'rotated', ['AWSPENDING']);
      if (Step === 'finishSecret') secrets.secretNamed('key')?.move('AWSCURRENT', ClientRequestToken);
      expect(SecretId).toMatch(/^arn:aws:secretsmanager:us-east-1:\d{12}:secret:key-.{6}$/);
    };
    const token = randomUUID();
    const answer = await client.send(new RotateSecretCommand({ SecretId: 'key', ClientRequestToken: token }));
    expect(answer.VersionId).toBe(token);
    await expect(
      client.send(new RotateSecretCommand({ SecretId: 'key', ClientRequestToken: randomUUID() })),
    ).rejects.toThrow("A previous rotation of key isn't complete. That rotation will be reattempted.");
    await secrets.rotations.idle();
    const whole = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'];
    expect(lambda.steps()).toEqual([...whole.slice(0, 2), ...whole]);
    expect(await read()).toBe('rotated');
    expect(lines.join('\n')).toContain('rotation of key failed: setSecret of key: Error: not yet: setSecret');
    const { LastRotatedDate, NextRotationDate, RotationEnabled } = await client.send(
      new DescribeSecretCommand({ SecretId: 'key' }),
    );
    expect(RotationEnabled).toBe(true);
    const days = (Number(NextRotationDate) - Number(LastRotatedDate)) / 86_400_000;
    expect(days).toBeCloseTo(30, 5);
  });
});
