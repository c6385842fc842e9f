import { randomInt } from 'node:crypto';
import { z } from 'zod';
import { physicalId } from '../engine/physical-name';
import { Flag, parseProperties } from '../engine/properties';
import type { Resource, ResourceModule, Running } from '../engine/types';

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

const Secret = z.object({
  Name: z.string(),
  GenerateSecretString: z.strictObject({
    PasswordLength: z.coerce.number().int().min(1).max(4096).default(32),
    ExcludePunctuation: z.literal([true, 'true'], { error: 'only letters and digits are generated here' }),
    IncludeSpace: Flag.optional(),
  }),
  ReplicaRegions: z.array(z.object({ Region: z.string() })).default([]),
});

/** Secrets Manager, as far as templates need it: generated secrets, their replicas, and references to both; no API. */
export class SecretsStandIn {
  private readonly values = new Map<string, string>();

  readonly modules: readonly ResourceModule[] = [
    { type: 'AWS::SecretsManager::Secret', start: async (resource) => this.startSecret(resource) },
  ];

  /** The secret of this name in a region: the secret itself or a replica. `undefined` when there is neither. */
  value(name: string, region: string): string | undefined {
    return this.values.get(`${region}/${name}`);
  }

  private startSecret(resource: Resource): Running {
    const { Name, GenerateSecretString, ReplicaRegions } = parseProperties(resource, Secret, [
      'Description',
      'KmsKeyId',
    ]);
    const value = Array.from(
      { length: GenerateSecretString.PasswordLength },
      () => ALPHANUMERIC[randomInt(ALPHANUMERIC.length)],
    ).join('');
    for (const region of [resource.region, ...ReplicaRegions.map(({ Region }) => Region)]) {
      if (this.values.has(`${region}/${Name}`)) throw new Error(`Name: the secret ${Name} exists already in ${region}`);
      this.values.set(`${region}/${Name}`, value);
    }
    const suffix = physicalId('x', resource).slice(2, 8);
    return { ref: `arn:aws:secretsmanager:${resource.region}:${resource.account}:secret:${Name}-${suffix}` };
  }
}
