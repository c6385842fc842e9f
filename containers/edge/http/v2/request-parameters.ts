import { invalidField } from '../../errors';
import { asObject } from '../predict-request';

/** The `parameters` of an inference request that the service knows; it ignores all others, as the protocol allows. */
export interface RequestParameters {
  /** Whether outputs that do not say otherwise are answered as binary data. */
  readonly binaryOutput: boolean;
  /** How long the client waits, microseconds; `undefined` for as long as it takes. */
  readonly timeoutUs: number | undefined;
}

/** Reads the `parameters` of an inference request. Throws a ServiceError naming the field. */
export function parametersOf(value: unknown): RequestParameters {
  if (value === undefined) return { binaryOutput: false, timeoutUs: undefined };
  const parameters = asObject(value, 'parameters');
  return {
    binaryOutput: optionalBoolean(parameters.binary_data_output, 'parameters.binary_data_output') ?? false,
    timeoutUs: optionalTimeout(parameters.timeout),
  };
}

/** Checks a field that is true or false where it is given. */
export function optionalBoolean(value: unknown, field: string): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw invalidField(field, 'true or false', value);
}

function optionalTimeout(value: unknown): number | undefined {
  // Triton's clients send 0 for no timeout.
  if (value === undefined || value === 0) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
  throw invalidField('parameters.timeout', 'a whole number of microseconds', value);
}
