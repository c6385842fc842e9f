import type { z } from 'zod';
import { AWS_REGIONS } from '../core/regions';
import type { NamingScope } from '../core/resource-names';
import { dev } from './dev';
import type { EnvironmentDocument } from './document';
import { local } from './local';
import { prod } from './prod';
import { type EnvironmentConfig, type EnvironmentName, EnvironmentSchema } from './schema';
import { staging } from './staging';

export type { EnvironmentConfig, RegionConfig } from './schema';

const DOCUMENTS: Record<EnvironmentName, EnvironmentDocument> = { dev, staging, prod, local };

/** Names of the environments, in the order in which a change travels through them. */
export const ENVIRONMENT_NAMES: readonly string[] = Object.keys(DOCUMENTS);

/** What a caller may replace in an environment's document. */
export interface ConfigOverrides {
  /** Account to deploy to, twelve digits. */
  readonly account?: string;
  /**
   * Regions instead of the document's; `all` is every commercial region. A region that the document names keeps its row;
   * the first is home unless the document's home is among them.
   */
  readonly regions?: readonly string[] | 'all';
}

/** A configuration that must not be deployed. The message has one line for each fault: where, what it is, what would be right. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Loads one environment, validated and with every default worked in.
 * @throws ConfigError naming each faulty field, its value and what is allowed.
 */
export function loadConfig(name: string, overrides: ConfigOverrides = {}): EnvironmentConfig {
  const document = Object.entries(DOCUMENTS).find(([known]) => known === name)?.[1];
  if (!document) {
    throw new ConfigError(
      `config: environment ${JSON.stringify(name)} does not exist; known: ${ENVIRONMENT_NAMES.join(', ')}`,
    );
  }
  return parseConfig(applyOverrides(document, overrides));
}

/**
 * Validates a document.
 * @throws ConfigError naming each faulty field, its value and what is allowed.
 */
export function parseConfig(document: unknown): EnvironmentConfig {
  const result = EnvironmentSchema.safeParse(document);
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => `config ${nameOf(document)}: ${describe(issue)}`);
  throw new ConfigError(lines.join('\n'));
}

/** The scope from which an environment's resource names are computed. */
export function namingScope(config: EnvironmentConfig): NamingScope {
  return { environment: config.name, account: config.account };
}

function applyOverrides(document: EnvironmentDocument, overrides: ConfigOverrides): unknown {
  const { account } = overrides;
  const withAccount = account === undefined ? document : { ...document, account };
  if (overrides.regions === undefined) return withAccount;
  const regions = overrides.regions === 'all' ? everyRegion(document) : overrides.regions;
  const { homeRegion, ...rest } = withAccount;
  const rows = regions.map((region) => document.regions.find((row) => row.region === region) ?? { region });
  const homeStays = homeRegion !== undefined && regions.includes(homeRegion);
  return { ...rest, regions: rows, ...(homeStays ? { homeRegion } : {}) };
}

/** Every commercial region, the document's own first, so that its home stays home. */
function everyRegion(document: EnvironmentDocument): string[] {
  return [...new Set([...document.regions.map(({ region }) => region), ...Object.keys(AWS_REGIONS)])];
}

function nameOf(document: unknown): string {
  const named = typeof document === 'object' && document !== null && 'name' in document;
  return named ? String(document.name) : '(unnamed)';
}

function describe(issue: z.core.$ZodIssue): string {
  const path = issue.path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text ? `${text}.${String(part)}` : String(part)),
    '',
  );
  return path ? `${path}: ${issue.message}` : issue.message;
}
