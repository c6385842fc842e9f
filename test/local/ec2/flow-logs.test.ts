import { FlowLogs } from '../../../local/ec2/flow-logs';
import { IamStandIn } from '../../../local/iam/iam-stand-in';
import { resource } from '../support/platform';

const GROUP = 'arn:aws:logs:us-east-1:000000000000:log-group:flows:*';
const policy = (...Statement: object[]) => ({ Version: '2012-10-17', Statement });

async function findings(actions: string[], service = 'vpc-flow-logs.amazonaws.com'): Promise<string[]> {
  const iam = new IamStandIn('000000000000', () => undefined);
  const flowLogs = new FlowLogs(iam);
  const start = async (type: string, properties: Record<string, unknown>) => {
    const module = [...iam.modules, ...flowLogs.modules].find((candidate) => candidate.type === type);
    if (!module) throw new Error(`no module for ${type}`);
    return module.start(resource(type, 'Flows', properties));
  };
  const trust = policy({ Effect: 'Allow', Principal: { Service: service }, Action: 'sts:AssumeRole' });
  const PolicyDocument = policy({ Effect: 'Allow', Action: actions, Resource: GROUP });
  const Policies = [{ PolicyName: 'publish', PolicyDocument }];
  const role = await start('AWS::IAM::Role', { AssumeRolePolicyDocument: trust, Policies });
  await start('AWS::EC2::FlowLog', {
    ...{ ResourceId: 'vpc-1', ResourceType: 'VPC', TrafficType: 'REJECT' },
    ...{ LogDestinationType: 'cloud-watch-logs', LogGroupName: 'flows' },
    DeliverLogsPermissionArn: role.attributes?.Arn,
  });
  return flowLogs.findings();
}

const ACTIONS = ['logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'];

test('flow logs are published as their role, or the missing action is named', async () => {
  expect(await findings(ACTIONS)).toEqual([]);
  for (const missing of ACTIONS) {
    const found = await findings(ACTIONS.filter((action) => action !== missing));
    expect(found).toEqual([expect.stringContaining(`is not authorized to perform: ${missing} on resource: `)]);
  }
  await expect(findings(ACTIONS, 'ec2.amazonaws.com')).rejects.toThrow('does not let vpc-flow-logs.amazonaws.com');
});
