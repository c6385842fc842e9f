import { randomBytes } from 'node:crypto';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  ResourceExistsException,
  type SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import type { OriginKey } from '../../lib/core/origin-keys';

/** Of a key: 256 bits as 64 hexadecimal digits. A listener compares at most 128 characters, without case. */
const KEY_BYTES = 32;

export interface KeySecretsOptions {
  readonly client: (region: string) => SecretsManagerClient;
  /** Region of the secrets themselves; the others have replicas. */
  readonly primaryRegion: string;
  readonly names: Readonly<Record<OriginKey, string>>;
}

/** The secrets of the origin keys. The current value of each is what templates refer to, in every region. */
export class KeySecrets {
  constructor(private readonly options: KeySecretsOptions) {}

  /** Current value of a key. */
  async current(key: OriginKey): Promise<string> {
    return this.read(key, this.options.primaryRegion);
  }

  /** Every region that has the key: wherever a listener may check it. */
  async regions(key: OriginKey): Promise<string[]> {
    const { ReplicationStatus = [] } = await this.describe(key);
    return [this.options.primaryRegion, ...ReplicationStatus.flatMap(({ Region }) => (Region ? [Region] : []))];
  }

  /** Regions in which a template would still be given another value than `value`. */
  async behind(key: OriginKey, value: string): Promise<string[]> {
    const regions = await this.regions(key);
    const values = await Promise.all(regions.map((region) => this.read(key, region)));
    return regions.filter((_, index) => values[index] !== value);
  }

  /** Gives the version of a rotation a fresh value, without making it current. Once it has one, it keeps it. */
  async propose(key: OriginKey, token: string): Promise<void> {
    await this.put(key, token, 'AWSPENDING');
  }

  /** Makes a fresh value current. The version remembers the rotation that it belongs to: a second time does nothing. */
  async renew(key: OriginKey, token: string): Promise<void> {
    if ((await this.versions(key))[token] === undefined) await this.put(key, token, 'AWSCURRENT');
  }

  /** Makes the version of a rotation current. A second time does nothing. */
  async makeCurrent(key: OriginKey, token: string): Promise<void> {
    const versions = Object.entries(await this.versions(key));
    const [current] = versions.find(([, stages]) => stages.includes('AWSCURRENT')) ?? [];
    if (current === token) return;
    await this.primary.send(
      new UpdateSecretVersionStageCommand({
        SecretId: this.options.names[key],
        VersionStage: 'AWSCURRENT',
        MoveToVersionId: token,
        RemoveFromVersionId: current,
      }),
    );
  }

  private get primary(): SecretsManagerClient {
    return this.options.client(this.options.primaryRegion);
  }

  private describe(key: OriginKey) {
    return this.primary.send(new DescribeSecretCommand({ SecretId: this.options.names[key] }));
  }

  private async versions(key: OriginKey): Promise<Record<string, string[]>> {
    return (await this.describe(key)).VersionIdsToStages ?? {};
  }

  private async read(key: OriginKey, region: string): Promise<string> {
    const SecretId = this.options.names[key];
    const { SecretString } = await this.options.client(region).send(new GetSecretValueCommand({ SecretId }));
    if (!SecretString) throw new Error(`${region}: the secret ${SecretId} has no text`);
    return SecretString;
  }

  private async put(key: OriginKey, token: string, stage: string): Promise<void> {
    try {
      await this.primary.send(
        new PutSecretValueCommand({
          SecretId: this.options.names[key],
          ClientRequestToken: token,
          SecretString: randomBytes(KEY_BYTES).toString('hex'),
          VersionStages: [stage],
        }),
      );
    } catch (error) {
      // An earlier attempt has given the version its value, which never changes.
      if (!(error instanceof ResourceExistsException)) throw error;
    }
  }
}
