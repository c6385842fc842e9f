import { SecretsStandIn } from '../../../local/secretsmanager/secrets-stand-in';
import { resource } from '../support/platform';

const SECRET = {
  Name: 'key',
  GenerateSecretString: { PasswordLength: 48, ExcludePunctuation: true },
  ReplicaRegions: [{ Region: 'eu-west-1' }],
};

function start(secrets: SecretsStandIn, properties: Record<string, unknown>) {
  return secrets.modules[0]?.start(resource('AWS::SecretsManager::Secret', 'Key', properties));
}

test('a secret is generated at every start and is the same in its replicas only', async () => {
  const [one, another] = [new SecretsStandIn(), new SecretsStandIn()];
  await start(one, SECRET);
  await start(another, SECRET);
  expect(one.value('key', 'us-east-1')).toMatch(/^[A-Za-z0-9]{48}$/);
  expect(one.value('key', 'eu-west-1')).toBe(one.value('key', 'us-east-1'));
  expect(one.value('key', 'ap-northeast-1')).toBeUndefined();
  expect(another.value('key', 'us-east-1')).not.toBe(one.value('key', 'us-east-1'));
});

test('a second secret of the name, and one with a value in the template, are refused', async () => {
  const secrets = new SecretsStandIn();
  await start(secrets, SECRET);
  await expect(start(secrets, SECRET)).rejects.toThrow('the secret key exists already in us-east-1');
  await expect(start(secrets, { Name: 'plain', SecretString: 'x' })).rejects.toThrow('SecretString');
});
