import { z } from 'zod';
import { compareVersions, ModelVersion } from '../../../lib/core/model-name';

/** Which versions of a model in a folder are served; of those, the highest is live. Triton's version policy. */
export type VersionPolicy =
  | { readonly kind: 'all' }
  | { readonly kind: 'latest'; readonly count: number }
  | { readonly kind: 'specific'; readonly versions: readonly string[] };

const EXPECTED = 'must be all, latest, latest:N or specific:VERSION,VERSION...';

/** A policy as an environment variable writes it: `all`, `latest`, `latest:2`, `specific:1,3`. */
export const VersionPolicyText = z.string().transform((text, context): VersionPolicy => {
  const policy = policyFrom(text);
  if (policy !== undefined) return policy;
  context.addIssue({ code: 'custom', message: EXPECTED });
  return z.NEVER;
});

function policyFrom(text: string): VersionPolicy | undefined {
  const [kind, argument, ...more] = text.split(':');
  if (more.length > 0) return undefined;
  if (kind === 'all' && argument === undefined) return { kind };
  if (kind === 'latest' && argument === undefined) return { kind, count: 1 };
  if (kind === 'latest' && /^[1-9]\d{0,5}$/.test(argument ?? '')) return { kind, count: Number(argument) };
  if (kind !== 'specific') return undefined;
  const versions = z.array(ModelVersion).min(1).safeParse(argument?.split(','));
  return versions.success ? { kind, versions: versions.data } : undefined;
}

/** A policy as `VersionPolicyText` reads it, for messages. */
export function policyText(policy: VersionPolicy): string {
  if (policy.kind === 'latest') return `latest:${policy.count}`;
  return policy.kind === 'all' ? 'all' : `specific:${policy.versions.join(',')}`;
}

/** Those of the versions at hand that a policy selects, lowest first. */
export function selectVersions(policy: VersionPolicy, versions: readonly string[]): string[] {
  const sorted = [...versions].sort(compareVersions);
  if (policy.kind === 'latest') return sorted.slice(-policy.count);
  return policy.kind === 'all' ? sorted : sorted.filter((version) => policy.versions.includes(version));
}
