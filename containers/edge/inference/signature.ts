import { isDeepStrictEqual } from 'node:util';
import type { TensorSpec } from '../../../lib/core/manifest';

/** What a model takes and gives. */
export interface ModelSignature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/** Where two signatures differ first, as `inputs should be ..., got ...`; `undefined` where they are the same. */
export function signatureDifference(wanted: ModelSignature, got: ModelSignature): string | undefined {
  for (const role of ['inputs', 'outputs'] as const) {
    const [should, is] = [wanted[role].map(describe), got[role].map(describe)];
    if (!isDeepStrictEqual(should, is)) return `${role} should be ${should.join(', ')}, got ${is.join(', ')}`;
  }
  return undefined;
}

function describe(spec: TensorSpec): string {
  return `${spec.name} ${spec.datatype} [${spec.shape.join(',')}]`;
}
