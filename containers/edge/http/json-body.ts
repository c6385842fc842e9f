import { messageOf, ServiceError } from '../errors';

/** Types whose bodies the router reads as JSON too; what else it accepts or refuses is its own business. */
export const JSON_BODY_TYPES: ReadonlySet<string | undefined> = new Set([
  undefined,
  'application/json',
  'application/json; charset=utf-8',
  'application/json;charset=utf-8',
  'application/json;charset=UTF-8',
  'application/x-www-form-urlencoded',
]);

/** The JSON of a body. Throws a ServiceError. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ServiceError('invalid_json', `the body must be JSON: ${messageOf(error)}`);
  }
}
