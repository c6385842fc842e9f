import { z } from 'zod';

const Names = z
  .union([z.string(), z.array(z.string())])
  .default([])
  .transform((names) => (typeof names === 'string' ? [names] : names));

const ResourceDefinition = z.looseObject({
  Type: z.string(),
  Properties: z.record(z.string(), z.unknown()).default({}),
  DependsOn: Names,
  Condition: z.string().optional(),
});

const OutputDefinition = z.looseObject({
  Value: z.unknown(),
  Condition: z.string().optional(),
  Export: z.object({ Name: z.unknown() }).optional(),
});

const ParameterDefinition = z.looseObject({ Type: z.string(), Default: z.unknown().optional() });

const Mapping = z.record(z.string(), z.record(z.string(), z.unknown()));

/**
 * The sections of a CloudFormation template that the runner gives a meaning. A section outside this list (`Transform`,
 * `Hooks`, ...) would change what the template means, so it is refused; `Metadata` and `Rules` are for deployment tools.
 */
export const Template = z.strictObject({
  AWSTemplateFormatVersion: z.string().optional(),
  Description: z.string().optional(),
  Metadata: z.unknown().optional(),
  Rules: z.unknown().optional(),
  Parameters: z.record(z.string(), ParameterDefinition).default({}),
  Mappings: z.record(z.string(), Mapping).default({}),
  Conditions: z.record(z.string(), z.unknown()).default({}),
  Resources: z.record(z.string(), ResourceDefinition),
  Outputs: z.record(z.string(), OutputDefinition).default({}),
});
export type Template = z.infer<typeof Template>;
