import protobuf from 'protobufjs';

/**
 * More of the ONNX format than the project's own models need: what makes a model one that must not serve.
 * https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
 */
const SCHEMA = `
  syntax = "proto3";
  message Model { int64 ir_version = 1; Graph graph = 7; repeated Opset opset_import = 8; repeated Function functions = 25; }
  message Opset { string domain = 1; int64 version = 2; }
  message Function { string name = 1; repeated string input = 4; repeated string output = 5; repeated Node node = 7;
    repeated Opset opset_import = 9; string domain = 10; }
  message Graph { repeated Node node = 1; string name = 2; repeated Tensor initializer = 5;
    repeated Value input = 11; repeated Value output = 12; }
  message Node { repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
    repeated Attribute attribute = 5; string domain = 7; }
  message Attribute { string name = 1; int64 i = 3; Tensor t = 5; Graph g = 6; repeated int64 ints = 8; int32 type = 20; }
  message Tensor { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9;
    repeated Pair external_data = 13; int32 data_location = 14; }
  message Pair { string key = 1; string value = 2; }
  message Value { string name = 1; Type type = 2; }
  message Type { TensorType tensor_type = 1; SequenceType sequence_type = 4; MapType map_type = 5; }
  message TensorType { int32 elem_type = 1; Shape shape = 2; }
  message SequenceType { Type elem_type = 1; }
  message MapType { int32 key_type = 1; Type value_type = 2; }
  message Shape { repeated Dim dim = 1; }
  message Dim { int64 dim_value = 1; string dim_param = 2; }
`;
const modelType = protobuf.parse(SCHEMA, { keepCase: true }).root.lookupType('Model');

const FLOAT = 1;
const INT32 = 6;
const INT64 = 7;
const ATTRIBUTE = { tensor: 4, graph: 5, ints: 7 };
const EXTERNAL = 1;

function encode(graph: object, opset = 17, more: object = {}): Buffer {
  const opset_import = [
    { domain: '', version: opset },
    { domain: 'ai.onnx.ml', version: 3 },
  ];
  const message = { ir_version: 8, opset_import, graph: { name: 'odd', ...graph }, ...more };
  return Buffer.from(modelType.encode(modelType.fromObject(message)).finish());
}

function value(name: string, elem_type: number, dims: readonly (number | string)[]): object {
  const dim = dims.map((axis) => (typeof axis === 'string' ? { dim_param: axis } : { dim_value: axis }));
  return { name, type: { tensor_type: { elem_type, shape: { dim } } } };
}

function integers(name: string, data_type: number, dims: readonly number[], values: readonly number[]): object {
  const array = data_type === INT64 ? BigInt64Array.from(values, BigInt) : Int32Array.from(values);
  return { name, data_type, dims, raw_data: new Uint8Array(array.buffer) };
}

/** `y = x`, float rows of two, in a given operator set. */
export function identityModel(opset: number): Buffer {
  return encode(
    {
      input: [value('x', FLOAT, ['rows', 2])],
      output: [value('y', FLOAT, ['rows', 2])],
      node: [{ op_type: 'Identity', input: ['x'], output: ['y'] }],
    },
    opset,
  );
}

/** A classifier as scikit-learn is exported by default, whose only output is a sequence of maps. */
export function zipMapModel(): Buffer {
  const map = { map_type: { key_type: INT64, value_type: { tensor_type: { elem_type: FLOAT, shape: {} } } } };
  return encode({
    input: [value('x', FLOAT, ['rows', 2])],
    output: [{ name: 'probabilities', type: { sequence_type: { elem_type: map } } }],
    node: [
      {
        op_type: 'ZipMap',
        domain: 'ai.onnx.ml',
        input: ['x'],
        output: ['probabilities'],
        attribute: [{ name: 'classlabels_int64s', ints: [0, 1], type: ATTRIBUTE.ints }],
      },
    ],
  });
}

/** Loads, and throws at every run: rows of three never become rows of five. */
export function throwingModel(): Buffer {
  return encode({
    input: [value('x', FLOAT, ['rows', 3])],
    output: [value('y', FLOAT, ['a', 'b'])],
    initializer: [integers('shape', INT64, [2], [7, 11])],
    node: [{ op_type: 'Reshape', input: ['x', 'shape'], output: ['y'] }],
  });
}

/** Loads, and ends the process that runs it: the processor traps -2^31 / -1. */
export function deadlyModel(): Buffer {
  return encode({
    input: [value('x', INT32, ['rows', 2])],
    output: [value('y', INT32, ['rows', 2])],
    initializer: [integers('lowest', INT32, [1], [-(2 ** 31)]), integers('minus', INT32, [1], [-1])],
    node: [
      { op_type: 'Sub', input: ['x', 'x'], output: ['zero'] },
      { op_type: 'Add', input: ['zero', 'lowest'], output: ['dividend'] },
      { op_type: 'Add', input: ['zero', 'minus'], output: ['divisor'] },
      { op_type: 'Div', input: ['dividend', 'divisor'], output: ['y'] },
    ],
  });
}

/** `y = x` less the mean of all rows: its axis 0 is dynamic, and its rows are not independent. */
export function rowMixingModel(): Buffer {
  return encode({
    input: [value('x', FLOAT, ['rows', 2])],
    output: [value('y', FLOAT, ['rows', 2])],
    node: [
      {
        op_type: 'ReduceMean',
        input: ['x'],
        output: ['mean'],
        attribute: [{ name: 'axes', ints: [0], type: ATTRIBUTE.ints }],
      },
      { op_type: 'Sub', input: ['x', 'mean'], output: ['y'] },
    ],
  });
}

/** `y = a + b` or `y = a / b`, rows of two integers. */
export function integerModel(operator: 'Add' | 'Div'): Buffer {
  return encode({
    input: [value('a', INT32, ['rows', 2]), value('b', INT32, ['rows', 2])],
    output: [value('y', INT32, ['rows', 2])],
    node: [{ op_type: operator, input: ['a', 'b'], output: ['y'] }],
  });
}

/** `y = x + weights`, two floats kept outside the file; in a subgraph's constant where `nested`. */
export function externalDataModel(location: string, nested = false): Buffer {
  const tensor = {
    dims: [2],
    data_type: FLOAT,
    data_location: EXTERNAL,
    external_data: [
      { key: 'location', value: location },
      { key: 'offset', value: '0' },
      { key: 'length', value: '8' },
    ],
  };
  const branch = {
    name: 'branch',
    node: [{ op_type: 'Constant', output: ['w'], attribute: [{ name: 'value', t: tensor, type: ATTRIBUTE.tensor }] }],
    output: [value('w', FLOAT, [2])],
  };
  const nodes = nested
    ? [
        {
          op_type: 'If',
          input: ['yes'],
          output: ['weights'],
          attribute: ['then_branch', 'else_branch'].map((name) => ({ name, g: branch, type: ATTRIBUTE.graph })),
        },
      ]
    : [];
  return encode({
    input: [value('x', FLOAT, ['rows', 2])],
    output: [value('y', FLOAT, ['rows', 2])],
    initializer: nested
      ? [{ name: 'yes', data_type: 9, dims: [], raw_data: Uint8Array.of(1) }]
      : [{ ...tensor, name: 'weights' }],
    node: [...nodes, { op_type: 'Add', input: ['x', 'weights'], output: ['y'] }],
  });
}

/** Bytes of the weights of `externalDataModel`. */
export function externalWeights(a: number, b: number): Buffer {
  return Buffer.from(Float32Array.of(a, b).buffer);
}
