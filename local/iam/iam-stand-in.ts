import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { ServiceError } from '../aws-front/service-error';
import type { NetworkInterface } from '../ec2/security-groups';
import { physicalId, physicalName } from '../engine/physical-name';
import { parseProperties } from '../engine/properties';
import type { Resource, ResourceModule, Running } from '../engine/types';
import { type AccessRequest, type Decision, decide, type Principal } from './evaluate';
import { managedPolicy } from './managed-policies';
import { type Policy, parsePolicy } from './policy';

const RoleProperties = z.object({
  RoleName: z.string().optional(),
  AssumeRolePolicyDocument: z.unknown(),
  ManagedPolicyArns: z.array(z.string()).default([]),
  Policies: z.array(z.strictObject({ PolicyName: z.string(), PolicyDocument: z.unknown() })).default([]),
});
const PolicyProperties = z.object({
  PolicyName: z.string(),
  PolicyDocument: z.unknown(),
  Roles: z.array(z.string()).min(1),
});
const ManagedPolicyProperties = z.object({
  ManagedPolicyName: z.string().optional(),
  PolicyDocument: z.unknown(),
  Roles: z.array(z.string()).default([]),
});

/** Credentials in the variables that AWS SDKs read. */
export type CredentialVariables = Readonly<
  Record<'AWS_ACCESS_KEY_ID' | 'AWS_SECRET_ACCESS_KEY', string> & Partial<Record<'AWS_SESSION_TOKEN', string>>
>;

/** Who an access key belongs to, and where its process is placed in the network. */
export interface Caller {
  readonly principal: Principal;
  /** `undefined` outside every VPC. */
  readonly network: NetworkInterface | undefined;
}

interface Role {
  readonly arn: string;
  readonly name: string;
  readonly trust: Policy;
  readonly policies: Policy[];
}

/** What a stand-in asks: an action on a resource, by the resource's own policy where it has one. */
export interface Question {
  readonly action: string;
  readonly resource: string;
  readonly resourcePolicy?: Policy | undefined;
  /** Condition keys of this request beyond those of every request; names in lower case. */
  readonly context?: Readonly<Record<string, string>> | undefined;
}

/** IAM: roles with their policies, the sessions of tasks and functions, and the decision on each of their calls. */
export class IamStandIn {
  private readonly roles = new Map<string, Role>();
  private readonly managed = new Map<string, Policy>();
  private readonly callers = new Map<string, Caller>();

  constructor(
    private readonly account: string,
    private readonly log: (line: string) => void,
  ) {}

  readonly modules: readonly ResourceModule[] = [
    { type: 'AWS::IAM::Role', start: async (resource) => this.startRole(resource) },
    { type: 'AWS::IAM::Policy', start: async (resource) => this.startPolicy(resource) },
    { type: 'AWS::IAM::ManagedPolicy', start: async (resource) => this.startManagedPolicy(resource) },
  ];

  /** Credentials of whoever operates the account; only explicit denies of resource policies hold for them. */
  operator(): CredentialVariables {
    return this.issue({ principal: { kind: 'root', account: this.account }, network: undefined });
  }

  /**
   * Credentials of one process that runs as a role.
   *
   * @param service the one that assumes the role, e.g. `lambda.amazonaws.com`.
   * @throws when there is no such role, or it does not trust the service.
   */
  assumeRole(
    roleArn: string,
    service: string,
    sessionName: string,
    network: NetworkInterface | undefined,
  ): CredentialVariables {
    const role = this.trusted(roleArn, service);
    const sessionArn = `arn:aws:sts::${this.account}:assumed-role/${role.name}/${sessionName}`;
    const principal: Principal = { kind: 'role', account: this.account, roleArn, sessionArn };
    return { ...this.issue({ principal, network }), AWS_SESSION_TOKEN: randomBytes(32).toString('base64') };
  }

  /** Ends a session. */
  revoke({ AWS_ACCESS_KEY_ID }: CredentialVariables): void {
    this.callers.delete(AWS_ACCESS_KEY_ID);
  }

  callerOf(accessKeyId: string): Caller | undefined {
    return this.callers.get(accessKeyId);
  }

  /** @throws when there is no such role, or it does not trust the service. */
  requireTrust(roleArn: string, service: string): void {
    this.trusted(roleArn, service);
  }

  /** What AWS itself does as a role, such as pulling an image: `undefined` when it may, otherwise what is missing. */
  missing(roleArn: string, service: string, question: Question): string | undefined {
    const { name } = this.trusted(roleArn, service);
    const sessionArn = `arn:aws:sts::${this.account}:assumed-role/${name}/${service}`;
    return this.refusal({ kind: 'role', account: this.account, roleArn, sessionArn }, question);
  }

  /**
   * Decides a call.
   *
   * @returns `undefined` when the principal may, otherwise AWS's sentence; that and what is missing are logged.
   */
  refusal(principal: Principal, question: Question): string | undefined {
    const { action, resource, resourcePolicy = [] } = question;
    const request: AccessRequest = { principal, action, resource, context: this.context(principal, question) };
    const role = principal.kind === 'role' ? this.roles.get(principal.roleArn) : undefined;
    const decision = decide(request, role?.policies ?? [], resourcePolicy);
    if (decision === 'allowed') return undefined;
    const sentence = explain(request, decision);
    const place = role ? `role ${role.name}` : nameOf(principal);
    this.log(`IAM denied ${action} on ${resource} to ${place}: ${sentence}`);
    return sentence;
  }

  private context(principal: Principal, { context = {} }: Question): Record<string, string> {
    const known = principal.kind === 'service' ? undefined : principal;
    return {
      // Hops to the stand-ins are plain HTTP on the loopback interface; in the cloud the same SDKs speak TLS.
      'aws:securetransport': 'true',
      's3:tlsversion': '1.3',
      ...(known ? { 'aws:principalaccount': known.account, 'aws:principalarn': principalArn(known) } : {}),
      ...context,
    };
  }

  private trusted(roleArn: string, service: string): Role {
    const role = this.roles.get(roleArn);
    if (!role) throw new Error(`there is no role ${roleArn}`);
    const request = { principal: { kind: 'service', service }, action: 'sts:AssumeRole', resource: '*' } as const;
    const decision = decide({ ...request, context: { 'aws:sourceaccount': this.account } }, [], role.trust);
    if (decision !== 'allowed') throw new Error(`role ${role.name} does not let ${service} assume it`);
    return role;
  }

  private issue(caller: Caller): CredentialVariables {
    const id = `LOCAL${randomBytes(8).toString('hex').toUpperCase()}`;
    this.callers.set(id, caller);
    return { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: randomBytes(20).toString('hex') };
  }

  private startRole(resource: Resource): Running {
    const properties = parseProperties(resource, RoleProperties, ['Description', 'MaxSessionDuration']);
    const name = properties.RoleName ?? physicalName(resource);
    const arn = `arn:aws:iam::${this.account}:role/${name}`;
    if (this.roles.has(arn)) throw new Error(`RoleName: there is a role ${name} already`);
    this.roles.set(arn, {
      arn,
      name,
      trust: parsePolicy(properties.AssumeRolePolicyDocument, 'trust', 'AssumeRolePolicyDocument'),
      policies: [
        ...properties.ManagedPolicyArns.map((policyArn) => this.managed.get(policyArn) ?? managedPolicy(policyArn)),
        ...properties.Policies.map(({ PolicyName, PolicyDocument }) =>
          parsePolicy(PolicyDocument, 'identity', `policy ${PolicyName}`),
        ),
      ],
    });
    const roleId = physicalId('AROA', resource).replace('-', '').toUpperCase();
    return {
      ref: name,
      attributes: { Arn: arn, RoleId: roleId },
      stop: async () => void this.roles.delete(arn),
    };
  }

  private startPolicy(resource: Resource): Running {
    const { PolicyName, PolicyDocument, Roles } = parseProperties(resource, PolicyProperties);
    this.attach(parsePolicy(PolicyDocument, 'identity', `policy ${PolicyName}`), Roles);
    return { ref: PolicyName };
  }

  private startManagedPolicy(resource: Resource): Running {
    const properties = parseProperties(resource, ManagedPolicyProperties, ['Description']);
    const name = properties.ManagedPolicyName ?? physicalName(resource);
    const arn = `arn:aws:iam::${this.account}:policy/${name}`;
    const policy = parsePolicy(properties.PolicyDocument, 'identity', `policy ${name}`);
    this.managed.set(arn, policy);
    this.attach(policy, properties.Roles);
    return { ref: arn, attributes: { PolicyArn: arn } };
  }

  private attach(policy: Policy, roleNames: readonly string[]): void {
    for (const roleName of roleNames) {
      const role = this.roles.get(`arn:aws:iam::${this.account}:role/${roleName}`);
      if (!role) throw new Error(`Roles: there is no role ${roleName}`);
      role.policies.push(policy);
    }
  }
}

/** The error that an API answers a refused call with: each service has a code of its own. */
export function accessDenied(service: string, sentence: string): ServiceError {
  if (service === 'sns') return new ServiceError('AuthorizationError', sentence, 403);
  if (['s3', 'cloudfront', 'cloudformation', 'elasticache', 'elasticloadbalancing', 'route53'].includes(service)) {
    return new ServiceError('AccessDenied', sentence, 403);
  }
  return new ServiceError('AccessDeniedException', sentence, service === 'ecs' ? 400 : 403);
}

function explain({ principal, action, resource }: AccessRequest, decision: Decision): string {
  const why =
    decision === 'explicitly denied' ? 'with an explicit deny' : `because no policy allows the ${action} action`;
  return `User: ${nameOf(principal)} is not authorized to perform: ${action} on resource: ${resource} ${why}`;
}

function nameOf(principal: Principal): string {
  if (principal.kind === 'service') return principal.service;
  return principal.kind === 'role' ? principal.sessionArn : principalArn(principal);
}

/** `aws:PrincipalArn`: of a session it is the role's. */
function principalArn(principal: Exclude<Principal, { kind: 'service' }>): string {
  return principal.kind === 'role' ? principal.roleArn : `arn:aws:iam::${principal.account}:root`;
}
