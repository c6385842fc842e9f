import { z } from 'zod';
import { ModelVersion } from '../../../lib/core/model-name';
import { messageOf } from '../errors';
import { RefusedModel } from './refused-model';
import { parseTextFormat, type TextMessage, type TextValue } from './triton-config';
import type { VersionPolicy } from './version-policy';

/** What is heeded of a Triton model configuration; what is absent is for the service to decide. */
export interface ModelSettings {
  /** Most rows of one run; 0: rows are never run together. */
  readonly maxBatchSize?: number;
  readonly versionPolicy?: VersionPolicy;
}

const MAX_COUNT = 999_999_999;
const COUNT_ERROR = { error: `must be a whole number from 0 to ${MAX_COUNT}` };

/** protobuf's JSON mapping allows a number as text. */
const Count = z
  .union(
    [
      z.int(),
      z
        .string()
        .regex(/^\d{1,9}$/)
        .transform(Number),
    ],
    COUNT_ERROR,
  )
  .refine((count) => count >= 0 && count <= MAX_COUNT, COUNT_ERROR);

const OnePolicy = z
  .strictObject({
    all: z.looseObject({}).exactOptional(),
    latest: z
      .looseObject({ num_versions: Count.pipe(z.int().min(1, { error: 'must be at least 1' })).default(1) })
      .exactOptional(),
    specific: z
      .looseObject({ versions: z.array(z.union([z.int().transform(String), ModelVersion])).min(1) })
      .exactOptional(),
  })
  .transform((policy, context): VersionPolicy => {
    const { latest, specific } = policy;
    if (Object.keys(policy).length !== 1) {
      context.addIssue({ code: 'custom', message: 'must be one of all, latest and specific' });
      return z.NEVER;
    }
    if (latest !== undefined) return { kind: 'latest', count: latest.num_versions };
    return specific === undefined ? { kind: 'all' } : { kind: 'specific', versions: specific.versions };
  });

/** The other fields of a ModelConfig say what an ONNX file says itself, or how Triton runs it: they are left aside. */
const TritonModelConfig = z.looseObject({
  max_batch_size: Count.exactOptional(),
  version_policy: OnePolicy.exactOptional(),
});

/**
 * Reads a model configuration in protobuf's JSON mapping, as the load request of the model repository extension carries
 * it. Throws an Error naming the field.
 * https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
 */
export function parseTritonConfigJson(text: string): ModelSettings {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new Error(`is not JSON: ${messageOf(error)}`, { cause: error });
  }
  return settingsFrom(document);
}

/** Reads `config.pbtxt`. Throws `RefusedModel` naming the line or the field. */
export function parseTritonConfig(text: string): ModelSettings {
  try {
    const config = parseTextFormat(text);
    const policy = config.get('version_policy')?.at(-1);
    return settingsFrom({
      ...(config.has('max_batch_size') ? { max_batch_size: config.get('max_batch_size')?.at(-1) } : {}),
      ...(policy === undefined ? {} : { version_policy: typeof policy === 'string' ? policy : policyJson(policy) }),
    });
  } catch (error) {
    throw new RefusedModel(`config.pbtxt ${messageOf(error)}`, { cause: error });
  }
}

function settingsFrom(document: unknown): ModelSettings {
  const parsed = TritonModelConfig.safeParse(document);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new Error([z.core.toDotPath(issue?.path ?? []), issue?.message].filter(Boolean).join(': '));
  }
  const { max_batch_size: maxBatchSize, version_policy: versionPolicy } = parsed.data;
  return {
    ...(maxBatchSize === undefined ? {} : { maxBatchSize }),
    ...(versionPolicy === undefined ? {} : { versionPolicy }),
  };
}

function policyJson(policy: TextMessage): object {
  return Object.fromEntries(
    [...policy].map(([kind, values]) => [kind, Object.fromEntries([...messageOfLast(values)].map(fieldJson))]),
  );
}

function messageOfLast(values: readonly TextValue[]): TextMessage {
  const last = values.at(-1);
  return last === undefined || typeof last === 'string' ? new Map() : last;
}

function fieldJson([name, values]: readonly [string, readonly TextValue[]]): [string, unknown] {
  return [name, name === 'versions' ? values : values.at(-1)];
}
