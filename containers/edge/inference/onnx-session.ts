import './telemetry-off';
import { InferenceSession, Tensor as OnnxTensor } from 'onnxruntime-node';
import type { TensorSpec } from '../../../lib/core/manifest';
import { messageOf } from '../errors';
import { codecOf, codecOfOnnxType, type TensorData } from './datatypes';
import type { RunResult } from './execution/types';
import { RefusedModel } from './refused-model';
import type { Tensor } from './tensors';

const SESSION_OPTIONS: InferenceSession.SessionOptions = {
  // One thread a session: the service runs one process per vCPU, and more threads measured slower.
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  // Failures are thrown; the library would print them a second time.
  logSeverityLevel: 4,
};

/** An ONNX model in memory, with its signature. */
export interface OnnxModel {
  readonly inputs: readonly TensorSpec[];
  /** Tensor outputs, in the model's order; sequences and maps are left out. */
  readonly outputs: readonly TensorSpec[];
  /**
   * Runs the model on this thread. Inputs must be complete and fit the signature: ONNX Runtime ignores unknown names
   * silently.
   */
  run(inputs: readonly Tensor[]): Promise<RunResult>;
  /** Frees the model. No run may be under way: ONNX Runtime would reject it. */
  release(): Promise<void>;
}

/** Loads the bytes of an ONNX file, or the file. Throws `RefusedModel` when it is not a model that can be served. */
export async function loadOnnxModel(model: Uint8Array | string): Promise<OnnxModel> {
  const session = await createSession(model);
  try {
    return wrapSession(session);
  } catch (error) {
    await session.release();
    throw error;
  }
}

async function createSession(model: Uint8Array | string): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(model as Uint8Array, SESSION_OPTIONS);
  } catch (error) {
    throw new RefusedModel(`ONNX Runtime cannot load the file: ${withoutPlaceInSource(messageOf(error))}`, {
      cause: error,
    });
  }
}

/** ONNX Runtime puts file, line and function of its own source before some messages. */
function withoutPlaceInSource(message: string): string {
  return message.replace(/^\S+\.(?:cc|h):\d+ .*?\)(?: const)? (?=\S)/s, '').trim();
}

function wrapSession(session: InferenceSession): OnnxModel {
  const inputs = session.inputMetadata.map((value) => specOf(value, 'input'));
  const outputs = session.outputMetadata.filter((value) => value.isTensor).map((value) => specOf(value, 'output'));
  if (inputs.length === 0) throw new RefusedModel('the model has no input');
  if (outputs.length === 0) throw new RefusedModel('the model has no tensor output (export it without ZipMap)');
  const fetches = outputs.map((output) => output.name);
  return {
    inputs,
    outputs,
    async run(tensors) {
      const asked = performance.now();
      const feeds = Object.fromEntries(tensors.map((tensor) => [tensor.name, toOnnx(tensor)]));
      // ONNX Runtime's binding begins in a `setImmediate` of its own, the next after this one: what the loop does
      // before that is not the model's time.
      let began = performance.now();
      const inputMs = began - asked;
      setImmediate(() => {
        began = performance.now();
      });
      const results = await session.run(feeds, fetches);
      const ended = performance.now();
      const given = outputs.map((spec) => {
        const result = results[spec.name];
        if (result === undefined) throw new Error(`the model gave no output ${spec.name}`);
        return { name: spec.name, datatype: spec.datatype, shape: result.dims, data: dataOf(spec, result) };
      });
      return { outputs: given, computeMs: ended - began, inputMs, outputMs: performance.now() - ended };
    },
    release: () => session.release(),
  };
}

function specOf(value: InferenceSession.ValueMetadata, role: string): TensorSpec {
  if (!value.isTensor) throw new RefusedModel(`${role} ${value.name} is not a tensor`);
  const codec = codecOfOnnxType(value.type);
  if (codec === undefined) throw new RefusedModel(`${role} ${value.name} has element type ${value.type}, not served`);
  return {
    name: value.name,
    datatype: codec.datatype,
    // ONNX Runtime gives a dynamic axis its symbolic name, or an empty string.
    shape: value.shape.map((axis) => (typeof axis === 'number' && axis >= 0 ? axis : -1)),
  };
}

function toOnnx(tensor: Tensor): OnnxTensor {
  return new OnnxTensor(codecOf(tensor.datatype).onnxType as 'float32', tensor.data as Float32Array, tensor.shape);
}

/** The elements of a result; FP16 as bit patterns, although from Node 24 on ONNX Runtime gives a `Float16Array`. */
function dataOf({ datatype }: TensorSpec, { data }: OnnxTensor): TensorData {
  if (datatype !== 'FP16') return data as TensorData;
  const { buffer, byteOffset, length } = data as Uint16Array;
  return new Uint16Array(buffer, byteOffset, length);
}
