import { createHash } from 'node:crypto';
import { CachePolicy } from '../../../lib/core/manifest';
import { messageOf } from '../errors';
import { canRunRowsTogether } from './batch-probe';
import type { QueueLimits } from './execution/queue-limits';
import type { ExecutionHost, ModelFile, RunnableSession, SessionHost } from './execution/types';
import { resolveExternalData } from './external-data';
import { digestOf } from './file-digest';
import { checkGoldenSamples } from './golden';
import type { LocalModelFile, ModelSource } from './model-source';
import { type OnnxFileFacts, readOnnxFile } from './onnx-file';
import { INLINE_BELOW_MS, mayRunInline } from './placement';
import { RefusedModel, SignatureChanged } from './refused-model';
import { type ModelSignature, signatureDifference } from './signature';
import type { Tensor } from './tensors';
import { findInputs, measureWarm, trialRun } from './trial-runs';

const DEFAULT_TOLERANCE = 1e-4;
/** Runs by which a model that has moved to the service's own thread is made warm there. */
const WARM_RUNS_INLINE = 5;

/** Where models run: every one is tried where `open` puts it, and stays unless its runs are shorter than the way there. */
export type ModelHost = Pick<ExecutionHost, 'open' | 'inline'>;

/** The version that serves while another one is prepared. */
export interface ReplacedVersion extends ModelSignature {
  readonly version: string;
  /** Whether it was itself published as one whose signature changed: going back from it is a change, too. */
  readonly signatureChange: boolean;
}

/** What a version is prepared for. */
export interface Preparation {
  readonly model: string;
  readonly version: string;
  /** What it may replace; `undefined` when nothing of the model serves. */
  readonly replaces: ReplacedVersion | undefined;
  /** Most rows of one run; 0: rows are never run together. Absent: for the service to decide. */
  readonly maxBatchSize?: number | undefined;
}

/** A version that passed every gate. */
export interface PreparedModel {
  readonly name: string;
  readonly version: string;
  /** Lower-case hex SHA-256 of all that the version consists of: two that differ never share a cached prediction. */
  readonly sha256: string;
  readonly cache: CachePolicy;
  /** Its release removes the files as well: a worker that died opens them again. */
  readonly session: RunnableSession;
  /** Whether rows may be run together. */
  readonly batchable: boolean;
  readonly limits: Partial<QueueLimits>;
  /** Whether it runs on the service's own thread instead of in worker processes. */
  readonly isInline: boolean;
  readonly signatureChange: boolean;
}

/**
 * Brings a version from its source to readiness: size and SHA-256 as published, nothing read outside its directory,
 * loads, signature as published and as the clients of the version before know it, golden samples answered within
 * tolerance, finite numbers, warm, rows probed for batching, placed where it runs best. Throws `RefusedModel` with the
 * reason when it must not serve.
 */
export async function prepareModel(
  source: ModelSource,
  host: ModelHost,
  preparation: Preparation,
): Promise<PreparedModel> {
  const local = await source.fetchVersion(preparation.model, preparation.version);
  try {
    return await prepareFile(local, host, preparation);
  } catch (error) {
    await local.discard();
    throw error;
  }
}

async function prepareFile(local: LocalModelFile, host: ModelHost, wanted: Preparation): Promise<PreparedModel> {
  if (local.manifest !== undefined) checkBytes('model.onnx', local.manifest, local);
  const facts = await readOnnxFile(local.path);
  const externalData = await checkExternalData(local, facts);
  const file: ModelFile = {
    model: wanted.model,
    version: wanted.version,
    path: local.path,
    sha256: local.sha256,
    ...(externalData.length === 0 ? {} : { externalData }),
  };
  const session = await host.open(file);
  try {
    return await examine(session, { file, local, facts, host, wanted });
  } catch (error) {
    await session.release();
    // The bytes are the published ones, so whatever they fail at now they will fail at again.
    throw error instanceof RefusedModel ? error : new RefusedModel(messageOf(error), { cause: error });
  }
}

interface Examination {
  readonly file: ModelFile;
  readonly local: LocalModelFile;
  readonly facts: OnnxFileFacts;
  readonly host: ModelHost;
  readonly wanted: Preparation;
}

async function examine(session: RunnableSession, examination: Examination): Promise<PreparedModel> {
  const { file, local, facts, host, wanted } = examination;
  const { manifest, golden } = local;
  const signatureChange = manifest?.signatureChange ?? false;
  const difference = manifest && signatureDifference(manifest, session);
  if (difference !== undefined) throw new RefusedModel(difference);
  checkReplacement(wanted.replaces, session, signatureChange);

  const tolerance = manifest?.tolerance ?? DEFAULT_TOLERANCE;
  await checkGoldenSamples(async (inputs) => (await trialRun(session, inputs)).outputs, golden, tolerance);
  const inputs = await findInputs(session, golden);
  const batchable = wanted.maxBatchSize !== 0 && (await canRunRowsTogether(session, inputs, tolerance));
  const p99Ms = await measureWarm(session, inputs, INLINE_BELOW_MS);
  const isInline = mayRunInline(p99Ms, session.inputs, facts);
  const placed = isInline ? await moveInline(session, host.inline, file, inputs) : session;
  // Not before its place is known: loading it everywhere takes the processors from whoever is served meanwhile.
  if (!isInline) session.spread?.();
  return {
    name: wanted.model,
    version: wanted.version,
    sha256: contentDigest(file),
    cache: manifest?.cache ?? CachePolicy.parse({}),
    session: keepingFiles(placed, () => local.discard()),
    batchable,
    limits: wanted.maxBatchSize ? { maxBatchRows: wanted.maxBatchSize } : {},
    isInline,
    signatureChange,
  };
}

/**
 * Throws `SignatureChanged` when clients of the version that serves would be wrong with this one, and neither of the two
 * was published as such a change.
 */
export function checkReplacement(
  replaces: ReplacedVersion | undefined,
  signature: ModelSignature,
  signatureChange: boolean,
): void {
  if (replaces === undefined || signatureChange || replaces.signatureChange) return;
  const difference = signatureDifference(replaces, signature);
  if (difference === undefined) return;
  throw new SignatureChanged(
    `${difference}, as in version ${replaces.version}, which serves; a version that is meant to differ says ` +
      `"signatureChange": true in its manifest`,
  );
}

function checkBytes(name: string, should: { bytes: number; sha256: string }, got: { bytes: number; sha256: string }) {
  if (got.bytes !== should.bytes) {
    throw new RefusedModel(`${name} should have ${should.bytes} bytes, got ${got.bytes}`);
  }
  if (got.sha256 !== should.sha256) {
    throw new RefusedModel(`${name} should have SHA-256 ${should.sha256}, got ${got.sha256}`);
  }
}

/** The files of a model's external data, in the order of their locations, each as published. Throws `RefusedModel`. */
async function checkExternalData({ path, manifest }: LocalModelFile, { externalLocations }: OnnxFileFacts) {
  const resolved = await resolveExternalData(path, externalLocations);
  const files: { location: string; path: string; sha256: string }[] = [];
  for (const [location, file] of [...resolved].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const digest = await digestOf(file);
    if (manifest !== undefined) {
      const published = manifest.externalData?.find((each) => each.location === location);
      if (published === undefined)
        throw new RefusedModel(`externalData of manifest.json lacks ${JSON.stringify(location)}`);
      checkBytes(location, published, digest);
    }
    files.push({ location, path: file, sha256: digest.sha256 });
  }
  return files;
}

function contentDigest({ sha256, externalData = [] }: ModelFile): string {
  if (externalData.length === 0) return sha256;
  return createHash('sha256')
    .update([sha256, ...externalData.map((file) => file.sha256)].join())
    .digest('hex');
}

/** Opens the model on the service's own thread as well, warm, and gives the worker's session back. */
async function moveInline(
  worker: RunnableSession,
  inline: SessionHost,
  file: ModelFile,
  inputs: readonly (readonly Tensor[])[],
): Promise<RunnableSession> {
  const session = await inline.open(file);
  try {
    for (let i = 0; i < WARM_RUNS_INLINE; i += 1) await trialRun(session, inputs[i % inputs.length] ?? []);
  } catch (error) {
    await session.release();
    throw error;
  }
  await worker.release();
  return session;
}

function keepingFiles(session: RunnableSession, discard: () => Promise<void>): RunnableSession {
  return {
    inputs: session.inputs,
    outputs: session.outputs,
    slots: session.slots,
    ...(session.pool === undefined ? {} : { pool: session.pool }),
    run: (inputs, options) => session.run(inputs, options),
    async release() {
      await session.release();
      await discard();
    },
  };
}
