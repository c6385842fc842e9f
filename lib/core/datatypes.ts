import type { Datatype } from './manifest';

/** What a datatype of the Open Inference Protocol v2 is elsewhere. */
export interface DatatypeFacts {
  /** ONNX Runtime's name of the element type. */
  readonly onnxType: string;
  /** Bytes of one element; `undefined` for BYTES, whose elements differ in length. */
  readonly bytes: 1 | 2 | 4 | 8 | undefined;
  /** True for every datatype that is a number in JSON. */
  readonly numeric: boolean;
}

/** Every datatype that the service carries: all of the protocol's. */
export const DATATYPES: Readonly<Record<Datatype, DatatypeFacts>> = {
  BOOL: { onnxType: 'bool', bytes: 1, numeric: false },
  UINT8: { onnxType: 'uint8', bytes: 1, numeric: true },
  UINT16: { onnxType: 'uint16', bytes: 2, numeric: true },
  UINT32: { onnxType: 'uint32', bytes: 4, numeric: true },
  UINT64: { onnxType: 'uint64', bytes: 8, numeric: true },
  INT8: { onnxType: 'int8', bytes: 1, numeric: true },
  INT16: { onnxType: 'int16', bytes: 2, numeric: true },
  INT32: { onnxType: 'int32', bytes: 4, numeric: true },
  INT64: { onnxType: 'int64', bytes: 8, numeric: true },
  FP16: { onnxType: 'float16', bytes: 2, numeric: true },
  FP32: { onnxType: 'float32', bytes: 4, numeric: true },
  FP64: { onnxType: 'float64', bytes: 8, numeric: true },
  BYTES: { onnxType: 'string', bytes: undefined, numeric: false },
};

const BY_ONNX_TYPE: ReadonlyMap<string, Datatype> = new Map(
  (Object.keys(DATATYPES) as Datatype[]).map((datatype) => [DATATYPES[datatype].onnxType, datatype]),
);

/** The datatype of an ONNX Runtime element type; `undefined` for one that the protocol has no name for. */
export function datatypeOfOnnxType(onnxType: string): Datatype | undefined {
  return BY_ONNX_TYPE.get(onnxType);
}
