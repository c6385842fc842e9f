import { conditionsHold, type RequestContext } from './conditions';
import type { Policy, PolicyStatement } from './policy';
import { matchesWildcard } from './wildcards';

/** Who asks. */
export type Principal =
  | { readonly kind: 'root'; readonly account: string }
  | { readonly kind: 'role'; readonly account: string; readonly roleArn: string; readonly sessionArn: string }
  | { readonly kind: 'service'; readonly service: string };

/** A request as policies see it. */
export interface AccessRequest {
  readonly principal: Principal;
  /** E.g. `s3:GetObject`. */
  readonly action: string;
  /** ARN, or `*` for actions without a resource. */
  readonly resource: string;
  readonly context: RequestContext;
}

export type Decision = 'allowed' | 'explicitly denied' | 'not allowed';

/**
 * Decides a request within one account: an explicit deny of any policy wins; otherwise one allow is enough, of an
 * identity policy or of a resource policy that names the principal itself.
 * Source: IAM User Guide, "Policy evaluation logic", for requests within an account, without boundaries, session and
 * organization policies, which nothing here has.
 *
 * @param identity policies of the principal; the account's root needs none.
 */
export function decide(request: AccessRequest, identity: readonly Policy[], resourcePolicy: Policy = []): Decision {
  const own = identity.flat().filter((statement) => applies(statement, request));
  const others = resourcePolicy.filter((statement) => applies(statement, request));
  const named = others.filter(({ principal }) => principalMatch(principal, request.principal) !== 'none');
  if ([...own, ...named].some(({ effect }) => effect === 'Deny')) return 'explicitly denied';
  if (request.principal.kind === 'root' || own.some(({ effect }) => effect === 'Allow')) return 'allowed';
  const granted = named.some(
    ({ effect, principal }) => effect === 'Allow' && principalMatch(principal, request.principal) === 'itself',
  );
  return granted ? 'allowed' : 'not allowed';
}

function applies({ actions, resources, conditions }: PolicyStatement, request: AccessRequest): boolean {
  const action = request.action.toLowerCase();
  const actionMatches = actions.patterns.some((pattern) => matchesWildcard(pattern, action)) !== actions.negated;
  const resourceMatches =
    resources === undefined ||
    resources.patterns.some((pattern) => matchesWildcard(pattern, request.resource)) !== resources.negated;
  return actionMatches && resourceMatches && conditionsHold(conditions, request.context);
}

/** An account as principal only hands the question to the account's own policies: it denies, but allows nothing. */
function principalMatch(wanted: PolicyStatement['principal'], principal: Principal): 'itself' | 'account' | 'none' {
  if (wanted === undefined) return 'none';
  if (wanted === '*' || wanted.AWS?.includes('*')) return 'itself';
  if (principal.kind === 'service') return wanted.Service?.includes(principal.service) ? 'itself' : 'none';
  const names = wanted.AWS ?? [];
  if (principal.kind === 'role' && [principal.roleArn, principal.sessionArn].some((arn) => names.includes(arn))) {
    return 'itself';
  }
  const account = [principal.account, `arn:aws:iam::${principal.account}:root`];
  return account.some((name) => names.includes(name)) ? 'account' : 'none';
}
