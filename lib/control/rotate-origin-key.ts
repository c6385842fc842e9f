import { randomUUID } from 'node:crypto';
import {
  DescribeSecretCommand,
  type DescribeSecretCommandOutput,
  InvalidRequestException,
  ResourceNotFoundException,
  RotateSecretCommand,
} from '@aws-sdk/client-secrets-manager';
import { type OriginKey, originKeyRotationName, originKeySecretName } from '../core/origin-keys';
import { GLOBAL_REGION, stackNames } from '../core/resource-names';
import { ControlError } from './errors';
import type { ControlPlane, OnProgress } from './plane';
import { pollUntil } from './polling';

/** Two deployments of the distribution and a few attempts, ms. */
const TIMEOUT_MS = 45 * 60_000;

export interface RotateRequest {
  /** Longest wait for the end of the rotation, ms; 45 minutes unless told. */
  readonly timeoutMs?: number;
}

/** A rotation that is complete. */
export interface RotateResult {
  readonly environment: string;
  /** Names the rotation: the version of the secrets that it made. */
  readonly version: string;
  /** Whether it was an earlier one that had not come to its end. */
  readonly resumed: boolean;
  readonly durationMs: number;
  /** When the schedule will rotate next, ISO 8601. */
  readonly nextRotation: string | undefined;
}

/**
 * Lets Secrets Manager renew both origin keys now, and returns when they are in force everywhere. No request fails
 * meanwhile. A rotation that an earlier attempt has left unfinished is finished instead.
 * @throws ControlError when the environment has no rotation, or this one does not come to its end
 */
export async function rotateOriginKey(
  { timeoutMs = TIMEOUT_MS }: RotateRequest,
  plane: ControlPlane,
  onProgress: OnProgress = () => {},
): Promise<RotateResult> {
  const { scope, clients, clock } = plane;
  const start = clock.now();
  const before = await describe(plane, 'first');
  if (!before.RotationEnabled) {
    throw new ControlError(`${before.Name} has no rotation: deploy ${stackNames.global(scope)} first`);
  }
  const unfinished = pendingVersion(before);
  const version = unfinished ?? randomUUID();
  onProgress(
    unfinished
      ? `rotation ${version} was not complete; Secrets Manager tries it again`
      : `rotation ${version} of the origin keys begins`,
  );
  try {
    const command = new RotateSecretCommand({ SecretId: before.Name, ClientRequestToken: version });
    await clients.secrets.send(command);
  } catch (error) {
    // To a rotation under way Secrets Manager says so, and tries it again by itself.
    if (!unfinished || !(error instanceof InvalidRequestException)) throw error;
  }
  const renewed = new Set<OriginKey>();
  const complete = await pollUntil(
    async () => {
      for (const key of ['second', 'first'] as const) {
        if (renewed.has(key) || !(await isCurrent(plane, key, version))) continue;
        renewed.add(key);
        onProgress(`the ${key} key is renewed; load balancers and CloudFront follow`);
      }
      const now = await describe(plane, 'first');
      const done = now.LastRotatedDate && now.LastRotatedDate.getTime() !== before.LastRotatedDate?.getTime();
      return renewed.has('first') && done ? now : undefined;
    },
    { clock, timeoutMs, describe: () => incomplete(plane, version, renewed) },
  );
  return {
    environment: scope.environment,
    version,
    resumed: unfinished !== undefined,
    durationMs: Math.round(clock.now() - start),
    nextRotation: complete.NextRotationDate?.toISOString(),
  };
}

async function describe({ scope, clients }: ControlPlane, key: OriginKey): Promise<DescribeSecretCommandOutput> {
  const SecretId = originKeySecretName(scope, key);
  try {
    return await clients.secrets.send(new DescribeSecretCommand({ SecretId }));
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
    throw new ControlError(
      `there is no secret ${SecretId} in ${GLOBAL_REGION}: deploy ${stackNames.keys(scope)} first`,
    );
  }
}

/** The version of a rotation that was begun and is not complete. */
function pendingVersion({ VersionIdsToStages = {} }: DescribeSecretCommandOutput): string | undefined {
  return Object.entries(VersionIdsToStages).find(
    ([, stages]) => stages.includes('AWSPENDING') && !stages.includes('AWSCURRENT'),
  )?.[0];
}

async function isCurrent(plane: ControlPlane, key: OriginKey, version: string): Promise<boolean> {
  const { VersionIdsToStages = {} } = await describe(plane, key);
  return VersionIdsToStages[version]?.includes('AWSCURRENT') ?? false;
}

function incomplete({ scope }: ControlPlane, version: string, renewed: ReadonlySet<OriginKey>): string {
  const done = renewed.size === 0 ? 'neither key is renewed' : `renewed so far: ${[...renewed].join(', ')}`;
  const log = `the log of function ${originKeyRotationName(scope)} in ${GLOBAL_REGION} says why`;
  return `rotation ${version} is not complete (${done}; requests are not affected); ${log}, docs/runbooks/origin-key-rotation.md what to do`;
}
