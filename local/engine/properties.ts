import { z } from 'zod';
import type { Resource } from './types';

/**
 * Parses the properties that a module gives a meaning.
 *
 * CloudFormation accepts numbers and booleans as strings and the reverse, so schemas of modules use `z.coerce` or
 * `Flag`. Properties beyond the schema must be in `inert`, the ones that change nothing on one machine; any other is
 * refused, because ignoring it would run something else than the template says.
 */
export function parseProperties<Schema extends z.ZodObject>(
  resource: Resource,
  schema: Schema,
  inert: readonly string[] = [],
): z.infer<Schema> {
  const known = new Set([...Object.keys(schema.shape), ...inert, 'Tags']);
  const unknown = Object.keys(resource.properties).filter((name) => !known.has(name));
  if (unknown.length > 0) {
    throw new Error(
      `${unknown.join(', ')} of ${resource.type} is not run on this machine, and ignoring it would change the meaning`,
    );
  }
  const parsed = schema.safeParse(resource.properties);
  if (!parsed.success) throw new Error(z.prettifyError(parsed.error).replaceAll('\n', ' '));
  return parsed.data;
}

/** A boolean as templates write it: true, false, "true", "false". */
export const Flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);
