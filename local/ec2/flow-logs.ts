import { z } from 'zod';
import { physicalId } from '../engine/physical-name';
import { parseProperties } from '../engine/properties';
import type { Resource, ResourceModule, Running } from '../engine/types';
import type { IamStandIn } from '../iam/iam-stand-in';

const FLOW_LOGS = 'vpc-flow-logs.amazonaws.com';

const FlowLogProperties = z.object({
  LogDestinationType: z.literal('cloud-watch-logs', { error: 'only flow logs to CloudWatch Logs are understood here' }),
  LogGroupName: z.string(),
  DeliverLogsPermissionArn: z.string(),
});

/** What VPC does as the role of a flow log. Source: VPC user guide, "IAM role for publishing flow logs to CloudWatch Logs". */
const ACTIONS = ['logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'];

/** Flow logs of VPCs: without packets there is nothing to log here, but whether they could be published is known. */
export class FlowLogs {
  private readonly logs: { readonly origin: string; readonly roleArn: string; readonly logGroupArn: string }[] = [];

  constructor(private readonly iam: IamStandIn) {}

  readonly modules: readonly ResourceModule[] = [
    { type: 'AWS::EC2::FlowLog', start: async (resource) => this.startFlowLog(resource) },
  ];

  /** What keeps flow logs from being published. */
  findings(): string[] {
    return this.logs.flatMap(({ origin, roleArn, logGroupArn }) =>
      ACTIONS.flatMap((action) => {
        const sentence = this.iam.missing(roleArn, FLOW_LOGS, { action, resource: `${logGroupArn}:log-stream:eni` });
        return sentence ? [`${origin}: ${sentence}`] : [];
      }),
    );
  }

  private startFlowLog(resource: Resource): Running {
    const inert = ['LogFormat', 'MaxAggregationInterval', 'ResourceId', 'ResourceType', 'TrafficType'];
    const { LogGroupName, DeliverLogsPermissionArn } = parseProperties(resource, FlowLogProperties, inert);
    this.iam.requireTrust(DeliverLogsPermissionArn, FLOW_LOGS);
    const log = {
      origin: `${resource.stackName}/${resource.logicalId}`,
      roleArn: DeliverLogsPermissionArn,
      logGroupArn: `arn:aws:logs:${resource.region}:${resource.account}:log-group:${LogGroupName}`,
    };
    this.logs.push(log);
    const id = physicalId('fl', resource);
    return { ref: id, attributes: { Id: id }, stop: async () => void this.logs.splice(this.logs.indexOf(log), 1) };
  }
}
