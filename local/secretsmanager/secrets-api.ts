import { z } from 'zod';
import { jsonApi } from '../aws-front/json-protocol';
import { ServiceError } from '../aws-front/service-error';
import type { AwsApi, CallContext } from '../engine/types';
import type { Rotations } from './rotations';
import type { StoredSecret } from './stored-secret';

const Named = z.object({ SecretId: z.string().min(1) });
const GetValue = Named.extend({ VersionId: z.string().optional(), VersionStage: z.string().optional() }).strict();
const Token = z.string().min(32).max(64);
const PutValue = Named.extend({
  ClientRequestToken: Token,
  SecretString: z.string().min(1).max(65_536),
  VersionStages: z.array(z.string()).min(1).default(['AWSCURRENT']),
}).strict();
const UpdateStage = Named.extend({
  VersionStage: z.string().min(1),
  MoveToVersionId: z.string().optional(),
  RemoveFromVersionId: z.string().optional(),
}).strict();
const Rotate = Named.extend({ ClientRequestToken: Token }).strict();

/** Secret by name, ARN, or ARN without its suffix, as a region knows it. */
export type FindSecret = (id: string, region: string) => StoredSecret | undefined;

/** The Secrets Manager API (JSON 1.1), as far as rotation and its operators use it; all else answers 501. */
export function secretsApi(find: FindSecret, rotations: Rotations): AwsApi {
  const required = (id: string, region: string): StoredSecret => {
    const secret = find(id, region);
    if (secret) return secret;
    throw new ServiceError('ResourceNotFoundException', `Secrets Manager can't find the secret ${id} in ${region}`);
  };
  const writable = (id: string, region: string): StoredSecret => {
    const secret = required(id, region);
    if (secret.identity.primaryRegion === region) return secret;
    throw new ServiceError(
      'InvalidRequestException',
      `${id} is a replica in ${region}: changes are made in ${secret.identity.primaryRegion}`,
    );
  };
  return jsonApi(
    'secretsmanager',
    {
      DescribeSecret: (input, { region }) => {
        const secret = required(parsed(Named, input).SecretId, region);
        return { ...described(secret, region), ...rotations.describe(secret) };
      },
      GetSecretValue: (input, { region }) =>
        secretValue(required(parsed(GetValue, input).SecretId, region), input, region),
      PutSecretValue: (input, { region }) => {
        const { SecretId, ClientRequestToken, SecretString, VersionStages } = parsed(PutValue, input);
        const secret = writable(SecretId, region);
        secret.put(ClientRequestToken, SecretString, VersionStages);
        return { ...identified(secret, region), VersionId: ClientRequestToken, VersionStages };
      },
      UpdateSecretVersionStage: (input, { region }) => {
        const { SecretId, VersionStage, MoveToVersionId, RemoveFromVersionId } = parsed(UpdateStage, input);
        const secret = writable(SecretId, region);
        const [holder] = secret.labelled(VersionStage) ?? [];
        if (holder !== undefined && holder !== MoveToVersionId && holder !== RemoveFromVersionId) {
          throw new ServiceError(
            'InvalidParameterException',
            `RemoveFromVersionId must be ${holder}, the version that ${VersionStage} is attached to, got ${RemoveFromVersionId}`,
          );
        }
        secret.move(VersionStage, MoveToVersionId);
        return identified(secret, region);
      },
      RotateSecret: (input, { region }) => {
        const { SecretId, ClientRequestToken } = parsed(Rotate, input);
        const secret = writable(SecretId, region);
        rotations.rotate(secret, ClientRequestToken);
        return { ...identified(secret, region), VersionId: ClientRequestToken };
      },
    },
    (action, input, context) => context.authorize(`secretsmanager:${action}`, arnOf(input.SecretId, find, context)),
  );
}

function arnOf(id: unknown, find: FindSecret, { region, account }: CallContext): string {
  const name = String(id);
  const secret = find(name, region);
  if (secret) return secret.arn(region);
  return name.startsWith('arn:') ? name : `arn:aws:secretsmanager:${region}:${account}:secret:${name}`;
}

function parsed<T extends z.ZodType>(schema: T, input: unknown): z.output<T> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  throw new ServiceError('InvalidParameterException', z.prettifyError(result.error).replaceAll('\n', ' '));
}

function identified(secret: StoredSecret, region: string): object {
  return { ARN: secret.arn(region), Name: secret.identity.name };
}

function described(secret: StoredSecret, region: string): object {
  const { primaryRegion, replicaRegions } = secret.identity;
  const stages = [...secret.in(region)].map(([id, version]) => [id, [...version.stages]]);
  return {
    ...identified(secret, region),
    PrimaryRegion: primaryRegion,
    VersionIdsToStages: Object.fromEntries(stages),
    ...(replicaRegions.length > 0
      ? { ReplicationStatus: replicaRegions.map((Region) => ({ Region, Status: 'InSync' })) }
      : {}),
  };
}

function secretValue(secret: StoredSecret, input: unknown, region: string): object {
  const { VersionId, VersionStage } = parsed(GetValue, input);
  const stage = VersionStage ?? (VersionId === undefined ? 'AWSCURRENT' : undefined);
  const found = [...secret.in(region)].find(
    ([id, { stages }]) => (VersionId ?? id) === id && (stage === undefined || stages.has(stage)),
  );
  const [id, version] = found ?? [];
  if (id === undefined || version?.value === undefined) {
    const wanted = [VersionId && `version ${VersionId}`, stage && `staging label ${stage}`].filter(Boolean).join(', ');
    throw new ServiceError(
      'ResourceNotFoundException',
      `Secrets Manager can't find a value of ${secret.identity.name} for ${wanted}`,
    );
  }
  return {
    ...identified(secret, region),
    VersionId: id,
    SecretString: version.value,
    VersionStages: [...version.stages],
  };
}
