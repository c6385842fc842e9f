import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { CachePolicy, type GoldenSample, ModelManifest } from '../core/manifest';
import { ModelName, ModelVersion, manifestKey, modelKey } from '../core/model-name';
import { CACHE_TAG_HEADER, modelTag, modelVersionTag } from '../core/tags';
import { ControlError, UsageError } from './errors';
import { checkModel } from './model-check';
import { awaitReplication, getObject, type NewObject, putObject, sha256Hex, storedSha256 } from './objects';
import type { ControlPlane, OnProgress } from './plane';
import { DEFAULT_ROLLOUT_TIMEOUTS, type RolloutResult, type RolloutTimeouts, rollOut } from './rollout';

/** A published version never changes. */
const IMMUTABLE = 'public, max-age=31536000, immutable';

/** Metadata that S3 answers as the header by which CloudFront knows cache tags. */
const CACHE_TAG_METADATA = CACHE_TAG_HEADER.slice('x-amz-meta-'.length);

/** Largest relative error of a golden output. */
const TOLERANCE = 1e-4;

/** A model version to publish. */
export interface PublishRequest {
  readonly name: string;
  readonly version: string;
  /** Bytes of the ONNX file. */
  readonly onnx: Buffer;
  readonly golden?: readonly GoldenSample[];
  /** How predictions of the version are cached; by default 300 s without further tags. */
  readonly cache?: z.input<typeof CachePolicy>;
  /** Whether inputs or outputs may differ from those of the version that serves; by default every task refuses that. */
  readonly signatureChange?: boolean;
  readonly timeouts?: Partial<RolloutTimeouts>;
}

/** What a publication did. */
export interface PublishResult extends RolloutResult {
  readonly sha256: string;
  readonly bytes: number;
  readonly goldenSamples: number;
  /** Keys that were uploaded; empty when the same version was already there. */
  readonly uploaded: readonly string[];
}

/**
 * Publishes a model version and makes it live everywhere. Safe to run again: what is done already is left as it is, so
 * a publication that broke off goes on where it stopped.
 * @throws UsageError for a name, version or cache policy that cannot be; ControlError when the model does not pass, the
 * version exists with other content, or a region does not follow
 */
export async function publishModel(
  request: PublishRequest,
  plane: ControlPlane,
  onProgress: OnProgress = () => {},
): Promise<PublishResult> {
  const manifest = await describeModel(request);
  const { model, version } = manifest;
  onProgress(`${model} ${version} loads; ${manifest.golden.length} golden sample(s) match`);

  const timeouts = { ...DEFAULT_ROLLOUT_TIMEOUTS, ...request.timeouts };
  const uploaded = await upload(plane, manifest, request.onnx);
  onProgress(uploaded.length > 0 ? `uploaded ${uploaded.join(', ')}` : `${model} ${version} is already uploaded`);
  for (const key of [modelKey(model, version), manifestKey(model, version)]) {
    await awaitReplication(plane, key, timeouts.replicationMs);
  }

  const rollout = await rollOut(plane, model, version, timeouts, onProgress);
  const { sha256, bytes } = manifest;
  return { ...rollout, sha256, bytes, goldenSamples: manifest.golden.length, uploaded };
}

/**
 * What the manifest will say that only the request knows.
 * @throws UsageError for a name, version or cache policy that cannot be
 */
export function planPublication({
  name,
  version,
  cache = {},
}: PublishRequest): Pick<ModelManifest, 'model' | 'version' | 'cache'> {
  return {
    model: parseArgument(ModelName, name),
    version: parseArgument(ModelVersion, version),
    cache: parseArgument(CachePolicy, cache),
  };
}

/** Checks the model on this machine and writes its manifest. */
async function describeModel(request: PublishRequest): Promise<ModelManifest> {
  const { onnx, golden = [] } = request;
  const plan = planPublication(request);
  const signature = await checkModel(onnx, golden, TOLERANCE);
  return ModelManifest.parse({
    schemaVersion: 1,
    ...plan,
    sha256: sha256Hex(onnx),
    bytes: onnx.length,
    ...signature,
    golden,
    tolerance: TOLERANCE,
    ...(request.signatureChange === true ? { signatureChange: true } : {}),
    publishedAt: new Date().toISOString(),
  });
}

function parseArgument<T>(schema: z.ZodType<T, unknown>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) =>
    path.length > 0 ? `${z.core.toDotPath(path)}: ${message}` : message,
  );
  throw new UsageError(faults.join('; '));
}

/** Uploads what is not there yet: the manifest last, so that a manifest always has its model. */
async function upload(plane: ControlPlane, manifest: ModelManifest, onnx: Buffer): Promise<string[]> {
  const { model, version } = manifest;
  const tags = [modelTag(model), modelVersionTag(model, version)].join(',');
  const common = { cacheControl: IMMUTABLE, metadata: { [CACHE_TAG_METADATA]: tags } };
  const onnxObject: NewObject = {
    key: modelKey(model, version),
    body: onnx,
    contentType: 'application/octet-stream',
    ...common,
  };
  const manifestObject: NewObject = {
    key: manifestKey(model, version),
    body: Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`),
    contentType: 'application/json',
    ...common,
  };

  const uploaded: string[] = [];
  if (await putObject(plane, onnxObject, 'create')) uploaded.push(onnxObject.key);
  else await requireSameModel(plane, onnxObject.key, manifest);
  if (await putObject(plane, manifestObject, 'create')) uploaded.push(manifestObject.key);
  else await requireSameManifest(plane, manifestObject.key, manifest);
  return uploaded;
}

async function requireSameModel(plane: ControlPlane, key: string, { model, version, sha256 }: ModelManifest) {
  const stored = await storedSha256(plane, key);
  if (stored === sha256) return;
  throw new ControlError(
    `${model} ${version} is already published with other bytes: SHA-256 ${stored ?? 'not recorded'} there, ${sha256} here; a version never changes, publish a new one`,
  );
}

async function requireSameManifest(plane: ControlPlane, key: string, manifest: ModelManifest): Promise<void> {
  const stored = await getObject(plane, key);
  const parsed = ModelManifest.safeParse(stored && JSON.parse(stored.body));
  if (!parsed.success) throw new ControlError(`${key} exists and is not a manifest: ${z.prettifyError(parsed.error)}`);
  const fields = Object.keys(ModelManifest.shape).filter((field) => field !== 'publishedAt');
  const there: Readonly<Record<string, unknown>> = parsed.data;
  const here: Readonly<Record<string, unknown>> = manifest;
  const different = fields.filter((field) => !isDeepStrictEqual(there[field], here[field]));
  if (different.length === 0) return;
  throw new ControlError(
    `${manifest.model} ${manifest.version} is already published with another ${different.join(', ')} in its manifest; a version never changes, publish a new one`,
  );
}
