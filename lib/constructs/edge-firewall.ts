import { ArnFormat, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import { CfnLoggingConfiguration, CfnWebACL } from 'aws-cdk-lib/aws-wafv2';
import { Construct } from 'constructs';

export interface EdgeFirewallProps {
  /** Name in metrics and of the log group. */
  readonly name: string;
  /** Requests of one IP address in five minutes above which it is answered 429. */
  readonly requestsPerAddress: number;
  readonly logRetentionDays: RetentionDays;
}

/** A managed rule group of AWS, with the rules of it that only count here. */
interface ManagedRules {
  readonly name: string;
  readonly counted?: readonly string[];
}

/**
 * Rules of the common rule set that inference breaks rightly: its bodies are up to 8 MiB where the rule allows 8 KB, and
 * programs often send no User-Agent. The service itself refuses larger bodies, with 413.
 */
const COUNTED_COMMON_RULES = ['SizeRestrictions_BODY', 'NoUserAgent_HEADER'];

const MANAGED_RULES: readonly ManagedRules[] = [
  { name: 'AWSManagedRulesAmazonIpReputationList' },
  { name: 'AWSManagedRulesCommonRuleSet', counted: COUNTED_COMMON_RULES },
  { name: 'AWSManagedRulesKnownBadInputsRuleSet' },
];

/** AWS WAF for the distribution: a rate limit for each address, then AWS's own rules. Lives in us-east-1, as CloudFront asks. */
export class EdgeFirewall extends Construct {
  readonly webAclArn: string;

  constructor(scope: Construct, id: string, props: EdgeFirewallProps) {
    super(scope, id);
    const webAcl = new CfnWebACL(this, 'WebAcl', {
      scope: 'CLOUDFRONT',
      defaultAction: { allow: {} },
      visibilityConfig: visible(props.name),
      rules: [rateLimit(props.requestsPerAddress), ...MANAGED_RULES.map(managedRules)],
    });
    this.webAclArn = webAcl.attrArn;
    this.logBlocked(props);
  }

  /** Only what was blocked or counted is kept: access logs have the rest. */
  private logBlocked({ name, logRetentionDays }: EdgeFirewallProps): void {
    // WAF writes only to groups whose name begins so.
    const logGroupName = `aws-waf-logs-${name}`;
    const logGroup = new LogGroup(this, 'Logs', {
      logGroupName,
      retention: logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    // The group's own attribute ends in `:*`, which WAF refuses.
    const destination = Stack.of(this).formatArn({
      service: 'logs',
      resource: 'log-group',
      resourceName: logGroupName,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    const logging = new CfnLoggingConfiguration(this, 'Logging', {
      resourceArn: this.webAclArn,
      logDestinationConfigs: [destination],
      redactedFields: [{ singleHeader: { Name: 'authorization' } }],
      loggingFilter: {
        DefaultBehavior: 'DROP',
        Filters: [
          {
            Behavior: 'KEEP',
            Requirement: 'MEETS_ANY',
            Conditions: [{ ActionCondition: { Action: 'BLOCK' } }, { ActionCondition: { Action: 'COUNT' } }],
          },
        ],
      },
    });
    logging.node.addDependency(logGroup);
  }
}

function rateLimit(limit: number): CfnWebACL.RuleProperty {
  const retryAfter = { name: 'retry-after', value: '60' };
  return {
    name: 'rate-of-one-address',
    priority: 0,
    action: { block: { customResponse: { responseCode: 429, responseHeaders: [retryAfter] } } },
    statement: { rateBasedStatement: { aggregateKeyType: 'IP', limit } },
    visibilityConfig: visible('rate-of-one-address'),
  };
}

function managedRules({ name, counted = [] }: ManagedRules, index: number): CfnWebACL.RuleProperty {
  return {
    name,
    priority: index + 1,
    overrideAction: { none: {} },
    statement: {
      managedRuleGroupStatement: {
        vendorName: 'AWS',
        name,
        ruleActionOverrides: counted.map((rule) => ({ name: rule, actionToUse: { count: {} } })),
      },
    },
    visibilityConfig: visible(name),
  };
}

function visible(metricName: string): CfnWebACL.VisibilityConfigProperty {
  return { metricName, cloudWatchMetricsEnabled: true, sampledRequestsEnabled: true };
}
