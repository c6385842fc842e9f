import { ModelManifest } from '../core/manifest';
import { ModelName, ModelVersion, manifestKey } from '../core/model-name';
import { readChannel } from './channel';
import { ControlError, UsageError } from './errors';
import { getObject } from './objects';
import type { ControlPlane, OnProgress } from './plane';
import { DEFAULT_ROLLOUT_TIMEOUTS, type RolloutResult, type RolloutTimeouts, rollOut } from './rollout';

/** A model to bring back to an earlier version. */
export interface RollbackRequest {
  readonly name: string;
  /** Version to go to; by default the one that was live before. */
  readonly to?: string;
  readonly timeouts?: Partial<RolloutTimeouts>;
}

/**
 * Moves a model's channel back. Tasks keep the previous version resident, so this takes seconds and no upload.
 * @throws UsageError for a name that cannot be; ControlError when there is nothing to go back to, or a region does not follow
 */
export async function rollbackModel(
  { name, to, timeouts }: RollbackRequest,
  plane: ControlPlane,
  onProgress: OnProgress = () => {},
): Promise<RolloutResult> {
  for (const [schema, value] of [
    [ModelName, name],
    [ModelVersion, to ?? '0'],
  ] as const) {
    const result = schema.safeParse(value);
    if (!result.success) throw new UsageError(result.error.issues.map(({ message }) => message).join('; '));
  }
  const channel = await readChannel(plane, name);
  if (channel === undefined) throw new ControlError(`model ${name} was never published in ${plane.scope.environment}`);
  const { production, previous } = channel.document;
  const target = to ?? previous;
  if (target === undefined) {
    throw new ControlError(`model ${name} has had no version before ${production}; name one with --to`);
  }
  await requirePublished(plane, name, target);
  onProgress(`rolling ${name} back from ${production} to ${target}`);
  return rollOut(plane, name, target, { ...DEFAULT_ROLLOUT_TIMEOUTS, ...timeouts }, onProgress);
}

async function requirePublished(plane: ControlPlane, model: string, version: string): Promise<void> {
  const manifest = await getObject(plane, manifestKey(model, version));
  if (manifest === undefined) throw new ControlError(`version ${version} of model ${model} was never published`);
  if (!ModelManifest.safeParse(JSON.parse(manifest.body)).success) {
    throw new ControlError(`version ${version} of model ${model} has a broken manifest`);
  }
}
