import { join } from 'node:path';
import protobuf from 'protobufjs';

/** IR version 8 (July 2021) and operator set 17: old enough for every runtime in use, new enough for plain MLPs. */
const IR_VERSION = 8;
const OPERATOR_SET = 17;

/** A float32 tensor stored in the model. */
export interface Initializer {
  readonly name: string;
  readonly dims: readonly number[];
  readonly values: Float32Array;
}

/** One operator of the default ONNX domain, applied to named values. */
export interface Node {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly output: string;
  /** Attributes whose values are strings. */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** Names of element types in ONNX. */
export type ElementType =
  | 'FLOAT'
  | 'FLOAT16'
  | 'DOUBLE'
  | 'UINT8'
  | 'UINT16'
  | 'UINT32'
  | 'UINT64'
  | 'INT8'
  | 'INT16'
  | 'INT32'
  | 'INT64'
  | 'BOOL'
  | 'STRING';

/** A value that enters or leaves the graph; a string in `dims` names a dynamic axis. */
export interface GraphValue {
  readonly name: string;
  /** `FLOAT` where none is given. */
  readonly elementType?: ElementType;
  readonly dims: readonly (number | string)[];
}

/** A graph in topological order: every node after those whose outputs it uses. */
export interface Graph {
  readonly name: string;
  readonly description: string;
  readonly version: number;
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly initializers: readonly Initializer[];
  readonly nodes: readonly Node[];
}

const modelProto = protobuf.loadSync(join(__dirname, 'onnx.proto')).lookupType('onnx.ModelProto');

/**
 * Encodes a graph as an ONNX file. The bytes depend on the graph alone.
 * @throws Error when a tensor's values do not fill its shape, or the message does not fit the ONNX schema
 */
export function encodeOnnx(graph: Graph): Uint8Array {
  const message = {
    irVersion: IR_VERSION,
    producerName: 'mlcdn',
    modelVersion: graph.version,
    docString: graph.description,
    opsetImport: [{ domain: '', version: OPERATOR_SET }],
    graph: {
      name: graph.name,
      node: graph.nodes.map(({ operator, inputs, output, attributes = {} }) => ({
        name: output,
        opType: operator,
        input: inputs,
        output: [output],
        attribute: Object.entries(attributes).map(([name, value]) => ({ name, type: 'STRING', s: Buffer.from(value) })),
      })),
      initializer: graph.initializers.map(tensorProto),
      input: graph.inputs.map(valueInfoProto),
      output: graph.outputs.map(valueInfoProto),
    },
  };
  return modelProto.encode(modelProto.fromObject(message)).finish();
}

function tensorProto({ name, dims, values }: Initializer) {
  const expected = dims.reduce((product, dim) => product * dim, 1);
  if (values.length !== expected) {
    throw new Error(`initializer ${name} of shape [${dims.join(', ')}] needs ${expected} values, got ${values.length}`);
  }
  const rawData = new DataView(new ArrayBuffer(values.length * Float32Array.BYTES_PER_ELEMENT));
  values.forEach((value, index) => {
    rawData.setFloat32(index * Float32Array.BYTES_PER_ELEMENT, value, true);
  });
  return { name, dims, dataType: 'FLOAT', rawData: new Uint8Array(rawData.buffer) };
}

function valueInfoProto({ name, elementType = 'FLOAT', dims }: GraphValue) {
  const dim = dims.map((size) => (typeof size === 'string' ? { dimParam: size } : { dimValue: size }));
  return { name, type: { tensorType: { elemType: elementType, shape: { dim } } } };
}
