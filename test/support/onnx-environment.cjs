const { TestEnvironment } = require('jest-environment-node');

/**
 * Test environment for files that run ONNX models: `@jest-environment ./test/support/onnx-environment.cjs`.
 * ONNX Runtime's native binding makes typed arrays of the process's own realm, and checks them with `instanceof`
 * against those of Jest's sandbox; sharing the constructors makes the two agree.
 */
const SHARED = [
  'Float32Array',
  'Float64Array',
  'Int8Array',
  'Int16Array',
  'Int32Array',
  'Uint8Array',
  'Uint16Array',
  'Uint32Array',
  'BigInt64Array',
  'BigUint64Array',
];

module.exports = class OnnxEnvironment extends TestEnvironment {
  async setup() {
    await super.setup();
    for (const name of SHARED) this.global[name] = globalThis[name];
  }
};
