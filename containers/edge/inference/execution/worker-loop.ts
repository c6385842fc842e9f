import { messageOf } from '../../errors';
import { loadOnnxModel, type OnnxModel } from '../onnx-session';
import { RefusedModel } from '../refused-model';
import type { Tensor } from '../tensors';
import { encodeFrame, type Frame, FrameKind, REPEAT_BYTES, readFrame, writePieces } from './frames';
import { type ModelLocation, verifiedModel } from './model-bytes';
import { decodeTensors, encodeTensors } from './tensor-codec';
import type { Repetition } from './types';

/** Garbage below this costs less than collecting it, which takes some ms of a core. */
const WORTH_COLLECTING_BYTES = 8 * 1024 * 1024;

/** What `FrameKind.open` asks for. */
export type OpenRequest = ModelLocation;

/** What `FrameKind.opened` tells. */
export type Signature = Pick<OnnxModel, 'inputs' | 'outputs'>;

/** What `FrameKind.failed` tells. */
export interface Failure {
  readonly message: string;
  /** Whether the model itself is to blame, so that another attempt would fail too. */
  readonly refused: boolean;
}

/**
 * Serves a worker's side of the frames, one request after the other, until the service closes its side. ONNX Runtime
 * blocks this thread while it works, and so may reading and writing: a payload then goes straight to where it is used,
 * without a stream between.
 */
export async function serveFrames(descriptor: number): Promise<void> {
  const models = new Map<number, OnnxModel>();
  writePieces(descriptor, encodeFrame(FrameKind.ready, 0, []));
  for (;;) {
    const frame = readFrame(descriptor);
    if (frame === undefined) return;
    const answer = await answerTo(frame, models).catch((error: unknown) => failureFrame(frame.session, error));
    writePieces(descriptor, answer);
  }
}

async function answerTo(frame: Frame, models: Map<number, OnnxModel>): Promise<Uint8Array[]> {
  const { kind, session } = frame;
  if (kind === FrameKind.run) return run(frame, models.get(session), 0, undefined);
  if (kind === FrameKind.repeat) {
    const [runs, limitMs] = [frame.payload.readDoubleLE(0), frame.payload.readDoubleLE(8)];
    return run(frame, models.get(session), REPEAT_BYTES, { runs, limitMs });
  }
  if (kind === FrameKind.open) {
    const bytes = await verifiedModel(JSON.parse(frame.payload.toString()) as OpenRequest);
    const model = await loadOnnxModel(bytes);
    models.set(session, model);
    // The file's bytes are garbage now, as large as the model, and an idle worker would not collect it.
    if (bytes.length >= WORTH_COLLECTING_BYTES) globalThis.gc?.();
    return encodeFrame(FrameKind.opened, session, [jsonBytes({ inputs: model.inputs, outputs: model.outputs })]);
  }
  if (kind !== FrameKind.release) throw new Error(`a frame of kind ${kind} is not known`);
  const model = models.get(session);
  models.delete(session);
  // Nobody waits for an answer: a model that cannot be freed costs this worker's memory, and is not asked for again.
  await model?.release().catch(() => undefined);
  return [];
}

/** Runs a model with the tensors at `offset` of a frame: once, or as `repeat` says. */
async function run(
  { session, payload }: Frame,
  model: OnnxModel | undefined,
  offset: number,
  repeat: Repetition | undefined,
): Promise<Uint8Array[]> {
  if (model === undefined) throw new Error('the model is not loaded in this worker');
  const inputs = decodeTensors(payload, offset);
  const until = performance.now() + (repeat?.limitMs ?? 0);
  const sums = { computeMs: 0, cpuMs: 0, outputMs: 0 };
  const each: number[] = [];
  let outputs: readonly Tensor[];
  do {
    const before = process.cpuUsage();
    const result = await model.run(inputs);
    const { user, system } = process.cpuUsage(before);
    const cpuMs = (user + system) / 1000;
    outputs = result.outputs;
    sums.computeMs += result.computeMs;
    sums.cpuMs += cpuMs;
    sums.outputMs += result.outputMs ?? 0;
    // Several threads of a process may use more CPU time than there is time.
    each.push(Math.min(result.computeMs, cpuMs));
  } while (repeat !== undefined && each.length < repeat.runs && performance.now() < until);
  const ran = performance.now();
  const encoded = encodeTensors(outputs);
  const told = repeat === undefined ? [] : each;
  const times = Float64Array.of(
    sums.computeMs,
    sums.cpuMs,
    sums.outputMs + performance.now() - ran,
    told.length,
    ...told,
  );
  return encodeFrame(FrameKind.done, session, [new Uint8Array(times.buffer), ...encoded]);
}

function failureFrame(session: number, error: unknown): Uint8Array[] {
  const failure: Failure = { message: messageOf(error), refused: error instanceof RefusedModel };
  return encodeFrame(FrameKind.failed, session, [jsonBytes(failure)]);
}

function jsonBytes(value: Signature | Failure): Buffer {
  return Buffer.from(JSON.stringify(value));
}
