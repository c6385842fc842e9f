import type { Datatype } from '../../lib/core/manifest';
import { type ElementType, encodeOnnx } from '../../models/onnx/writer';

const ELEMENT_TYPES: Readonly<Record<Datatype, ElementType>> = {
  BOOL: 'BOOL',
  UINT8: 'UINT8',
  UINT16: 'UINT16',
  UINT32: 'UINT32',
  UINT64: 'UINT64',
  INT8: 'INT8',
  INT16: 'INT16',
  INT32: 'INT32',
  INT64: 'INT64',
  FP16: 'FLOAT16',
  FP32: 'FLOAT',
  FP64: 'DOUBLE',
  BYTES: 'STRING',
};

/** A real ONNX model that gives back what it gets: `y` is `x`, of one datatype; a string in `dims` is a dynamic axis. */
export function identityModel(datatype: Datatype, dims: readonly (number | string)[]): Buffer {
  const elementType = ELEMENT_TYPES[datatype];
  return Buffer.from(
    encodeOnnx({
      name: 'identity',
      description: `gives back ${datatype}`,
      version: 1,
      inputs: [{ name: 'x', elementType, dims }],
      outputs: [{ name: 'y', elementType, dims }],
      initializers: [],
      nodes: [{ operator: 'Identity', inputs: ['x'], output: 'y' }],
    }),
  );
}

/** A real ONNX model of two inputs and three outputs: `sum` is `a + b`, `difference` is `a - b`, `copy` is `a`. */
export function sumModel(): Buffer {
  const value = (name: string) => ({ name, dims: ['n'] });
  return Buffer.from(
    encodeOnnx({
      name: 'sum',
      description: 'sum and difference of two vectors',
      version: 1,
      inputs: [value('a'), value('b')],
      outputs: [value('sum'), value('difference'), value('copy')],
      initializers: [],
      nodes: [
        { operator: 'Add', inputs: ['a', 'b'], output: 'sum' },
        { operator: 'Sub', inputs: ['a', 'b'], output: 'difference' },
        { operator: 'Identity', inputs: ['a'], output: 'copy' },
      ],
    }),
  );
}
