import { randomInt, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { physicalId, physicalName } from '../engine/physical-name';
import { Flag, parseProperties } from '../engine/properties';
import type { AwsApi, Resource, ResourceModule, Running } from '../engine/types';
import { type RotationFunctions, Rotations } from './rotations';
import { secretsApi } from './secrets-api';
import { type After, realTime, StoredSecret } from './stored-secret';

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

const SecretProperties = z.object({
  Name: z.string(),
  GenerateSecretString: z.strictObject({
    PasswordLength: z.coerce.number().int().min(1).max(4096).default(32),
    ExcludePunctuation: z.literal([true, 'true'], { error: 'only letters and digits are generated here' }),
    IncludeSpace: Flag.optional(),
  }),
  ReplicaRegions: z.array(z.object({ Region: z.string() })).default([]),
});

const RotationSchedule = z.object({
  SecretId: z.string(),
  RotationLambdaARN: z.string(),
  RotationRules: z.strictObject({ AutomaticallyAfterDays: z.coerce.number().int().min(1).max(1000) }),
  RotateImmediatelyOnUpdate: z.literal([false, 'false'], {
    error: 'a rotation that starts with the deployment is not run here',
  }),
});

const SERVICE = 'secretsmanager.amazonaws.com';

/** Lambda, as far as rotations need it. */
export interface RotationLambda extends RotationFunctions {
  permits(functionArn: string, principal: string, sourceArn: string): boolean;
}

/** Secrets Manager: generated secrets, their replicas, references to both, and rotation by a function. */
export class SecretsStandIn {
  readonly rotations: Rotations;
  readonly api: AwsApi;
  private readonly secrets = new Set<StoredSecret>();

  constructor(
    private readonly lambda: RotationLambda,
    log: (line: string) => void,
    /** How replicas wait for what they copy. */
    private readonly after: After = realTime,
  ) {
    this.rotations = new Rotations(lambda, log);
    this.api = secretsApi((id, region) => this.find(id, region), this.rotations);
  }

  readonly modules: readonly ResourceModule[] = [
    { type: 'AWS::SecretsManager::Secret', start: async (resource) => this.startSecret(resource) },
    { type: 'AWS::SecretsManager::RotationSchedule', start: (resource) => this.startRotation(resource) },
  ];

  /** Current value of the secret of this name in a region: the secret itself or a replica. `undefined` when there is neither. */
  value(name: string, region: string): string | undefined {
    return this.find(name, region)?.labelled('AWSCURRENT', region)?.[1].value;
  }

  secretNamed(name: string): StoredSecret | undefined {
    return [...this.secrets].find(({ identity }) => identity.name === name);
  }

  close(): Promise<void> {
    return this.rotations.close();
  }

  /** By name, ARN, or ARN without its suffix. */
  private find(id: string, region: string): StoredSecret | undefined {
    const matches = (secret: StoredSecret) => {
      const arn = secret.arn(region);
      return [secret.identity.name, arn, arn.slice(0, -7)].includes(id);
    };
    return [...this.secrets].find((secret) => secret.regions.includes(region) && matches(secret));
  }

  private startSecret(resource: Resource): Running {
    const { Name, GenerateSecretString, ReplicaRegions } = parseProperties(resource, SecretProperties, [
      'Description',
      'KmsKeyId',
    ]);
    const value = Array.from(
      { length: GenerateSecretString.PasswordLength },
      () => ALPHANUMERIC[randomInt(ALPHANUMERIC.length)],
    ).join('');
    const identity = {
      name: Name,
      account: resource.account,
      suffix: physicalId('x', resource).slice(2, 8),
      primaryRegion: resource.region,
      replicaRegions: ReplicaRegions.map(({ Region }) => Region),
    };
    const secret = new StoredSecret(identity, randomUUID(), value, this.after);
    const taken = secret.regions.find((region) => this.find(Name, region));
    if (taken !== undefined) throw new Error(`Name: the secret ${Name} exists already in ${taken}`);
    this.secrets.add(secret);
    return {
      ref: secret.arn(resource.region),
      stop: async () => {
        secret.close();
        this.secrets.delete(secret);
      },
    };
  }

  private async startRotation(resource: Resource): Promise<Running> {
    const { SecretId, RotationLambdaARN, RotationRules } = parseProperties(resource, RotationSchedule);
    const secret = this.find(SecretId, resource.region);
    if (secret?.identity.primaryRegion !== resource.region) {
      throw new Error(`SecretId: there is no secret ${SecretId} in ${resource.region}, or only a replica`);
    }
    const source = secret.arn(resource.region);
    if (!this.lambda.permits(RotationLambdaARN, SERVICE, source)) {
      throw new Error(
        `RotationLambdaARN: ${RotationLambdaARN} has no AWS::Lambda::Permission for ${SERVICE} from ${source}`,
      );
    }
    await this.rotations.schedule(secret, RotationLambdaARN, RotationRules.AutomaticallyAfterDays);
    return { ref: physicalName(resource), stop: async () => this.rotations.unschedule(secret) };
  }
}
