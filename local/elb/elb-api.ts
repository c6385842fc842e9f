import { z } from 'zod';
import { type QueryParameters, queryApi } from '../aws-front/query-protocol';
import { ServiceError } from '../aws-front/service-error';
import type { AwsApi } from '../engine/types';
import { type ListenerAction, RuleConditions } from './listener-rules';
import type { Listener, LoadBalancer, Rule } from './load-balancer';

export interface ElbApiOptions {
  /** Load balancers of a region. */
  balancers(region: string): readonly LoadBalancer[];
}

/** Limits of a rule. Source: Elastic Load Balancing user guide, "Quotas for your Application Load Balancers". */
const VALUES_PER_RULE = 5;
const VALUE_LENGTH = 128;

/** Lists that a condition holds its values in, by its field. */
const CONFIGS = {
  'http-header': 'HttpHeaderConfig',
  'path-pattern': 'PathPatternConfig',
  'host-header': 'HostHeaderConfig',
  'http-request-method': 'HttpRequestMethodConfig',
} as const;
const Field = z.enum(['http-header', 'path-pattern', 'host-header', 'http-request-method']);

/**
 * The Elastic Load Balancing API (Query, version 2015-12-01), as far as rules are read and their conditions changed; all
 * else answers 501.
 */
export function elbApi({ balancers }: ElbApiOptions): AwsApi {
  const listenersOf = (region: string) => balancers(region).flatMap((balancer) => balancer.listeners);
  return queryApi(
    'elasticloadbalancing',
    {
      DescribeLoadBalancers: (parameters, { region }) => {
        const names = parameters.items('Names.member').map((item) => parameters.required(item));
        const found = balancers(region).filter(({ name }) => names.length === 0 || names.includes(name));
        const missing = names.find((name) => !found.some((balancer) => balancer.name === name));
        if (missing !== undefined)
          throw new ServiceError('LoadBalancerNotFound', `load balancer ${missing} is not in ${region}`);
        return { LoadBalancers: { member: found.map(describeBalancer) } };
      },
      DescribeListeners: (parameters, { region }) => {
        const arn = parameters.required('LoadBalancerArn');
        const balancer = balancers(region).find((candidate) => candidate.arn === arn);
        if (!balancer) throw new ServiceError('LoadBalancerNotFound', `there is no load balancer ${arn} in ${region}`);
        return { Listeners: { member: balancer.listeners.map((listener) => describeListener(listener, arn)) } };
      },
      DescribeRules: (parameters, { region }) => {
        const arn = parameters.required('ListenerArn');
        const listener = listenersOf(region).find(({ options }) => options.arn === arn);
        if (!listener) throw new ServiceError('ListenerNotFound', `there is no listener ${arn} in ${region}`);
        const standard = {
          RuleArn: `${arn.replace(':listener/', ':listener-rule/')}/default`,
          Priority: 'default',
          IsDefault: true,
          Conditions: '',
          Actions: { member: [describeAction(listener.options.defaultAction)] },
        };
        return { Rules: { member: [...listener.rules.map(describeRule), standard] } };
      },
      ModifyRule: (parameters, { region }) => {
        const arn = parameters.required('RuleArn');
        const listener = listenersOf(region).find(({ rules }) => rules.some((rule) => rule.arn === arn));
        const rule = listener?.rules.find((candidate) => candidate.arn === arn);
        if (!listener || !rule) throw new ServiceError('RuleNotFound', `there is no rule ${arn} in ${region}`);
        if (parameters.items('Actions.member').length > 0 || parameters.items('Transforms.member').length > 0)
          throw new ServiceError('NotImplemented', 'only the conditions of a rule are modified here', 501);
        const modified = { ...rule, conditions: conditionsOf(parameters) };
        listener.putRule(modified);
        return { Rules: { member: [describeRule(modified)] } };
      },
    },
    (action, parameters, context) =>
      context.authorize(
        `elasticloadbalancing:${action}`,
        action.startsWith('Describe') ? '*' : parameters.required('RuleArn'),
      ),
  );
}

function conditionsOf(parameters: QueryParameters): RuleConditions {
  const conditions = parameters.items('Conditions.member').map((prefix) => {
    const field = Field.safeParse(parameters.required(`${prefix}.Field`));
    if (!field.success) throw new ServiceError('NotImplemented', z.prettifyError(field.error), 501);
    const config = CONFIGS[field.data];
    const list = `${prefix}.${config}.Values.member`;
    const Values = parameters.items(list).map((item) => parameters.required(item));
    if (Values.length === 0) throw new ServiceError('ValidationError', `a condition '${field.data}' needs a value`);
    const long = Values.find((value) => value.length > VALUE_LENGTH);
    if (long !== undefined)
      throw new ServiceError('ValidationError', `the value ${long} has more than ${VALUE_LENGTH} characters`);
    const HttpHeaderName = parameters.optional(`${prefix}.${config}.HttpHeaderName`);
    return { Field: field.data, [config]: { ...(HttpHeaderName ? { HttpHeaderName } : {}), Values } };
  });
  const count = conditions.flatMap((condition) => Object.values(condition)).flatMap(valuesIn).length;
  if (conditions.length === 0) throw new ServiceError('ValidationError', 'a rule needs a condition');
  if (count > VALUES_PER_RULE)
    throw new ServiceError('TooManyConditionValues', `${count} condition values; a rule may have ${VALUES_PER_RULE}`);
  return RuleConditions.parse(conditions);
}

function valuesIn(config: unknown): readonly unknown[] {
  return typeof config === 'object' && config !== null && 'Values' in config && Array.isArray(config.Values)
    ? config.Values
    : [];
}

function describeBalancer({ arn, name, dnsName }: LoadBalancer): object {
  return { LoadBalancerArn: arn, LoadBalancerName: name, DNSName: dnsName, Type: 'application' };
}

function describeListener({ options }: Listener, balancerArn: string): object {
  const { arn, port, protocol, defaultAction } = options;
  return {
    ListenerArn: arn,
    LoadBalancerArn: balancerArn,
    Port: port,
    Protocol: protocol,
    DefaultActions: { member: [describeAction(defaultAction)] },
  };
}

function describeRule({ arn, priority, conditions, action }: Rule): object {
  return {
    RuleArn: arn,
    Priority: String(priority),
    IsDefault: false,
    Conditions: { member: conditions.map(describeCondition) },
    Actions: { member: [describeAction(action)] },
  };
}

function describeCondition(condition: RuleConditions[number]): object {
  const lists = Object.entries(condition).filter(([name]) => name !== 'Field');
  return {
    Field: condition.Field,
    ...Object.fromEntries(lists.map(([name, config]) => [name, withMembers(config)])),
  };
}

function withMembers(config: unknown): object {
  return { ...(config as object), Values: { member: valuesIn(config) } };
}

function describeAction(action: ListenerAction): object {
  if (action.kind === 'forward') return { Type: 'forward', TargetGroupArn: action.targetGroupArn };
  const { status, contentType, body } = action;
  return {
    Type: 'fixed-response',
    FixedResponseConfig: { StatusCode: String(status), ContentType: contentType, MessageBody: body },
  };
}
