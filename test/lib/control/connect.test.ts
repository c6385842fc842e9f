import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { connectControlPlane } from '../../../lib/control/connect';
import { stubbed } from '../../support/aws';

const DEPLOYMENT = { environment: 'dev', account: '111122223333', homeRegion: 'eu-west-1', regions: ['eu-west-1'] };

function cloudFormation(answer: (stack: unknown) => object): CloudFormationClient {
  const client = new CloudFormationClient({ region: 'us-east-1' });
  return stubbed(client, (_command, input) => answer('StackName' in input ? input.StackName : undefined));
}

describe('connection to an environment', () => {
  it('takes the outputs of the global stack of that environment', async () => {
    const outputs = [
      { OutputKey: 'DistributionId', OutputValue: 'E1' },
      { OutputKey: 'KeyValueStoreArn', OutputValue: 'arn:kvs' },
    ];
    const asked: unknown[] = [];
    const client = cloudFormation((stack) => {
      asked.push(stack);
      return { Stacks: [{ Outputs: outputs }] };
    });
    await expect(connectControlPlane(DEPLOYMENT, client)).resolves.toMatchObject({
      scope: { environment: 'dev', account: '111122223333' },
      distributionId: 'E1',
      keyValueStoreArn: 'arn:kvs',
      homeRegion: 'eu-west-1',
    });
    expect(asked).toEqual(['mlcdn-dev-global']);
  });

  it('names the output that is missing', async () => {
    const client = cloudFormation(() => ({
      Stacks: [{ Outputs: [{ OutputKey: 'DistributionId', OutputValue: 'E1' }] }],
    }));
    await expect(connectControlPlane(DEPLOYMENT, client)).rejects.toThrow(
      'stack mlcdn-dev-global has no output KeyValueStoreArn (it has: DistributionId)',
    );
  });

  it('says which stack could not be read', async () => {
    const client = cloudFormation(() => {
      throw new Error('Stack with id mlcdn-dev-global does not exist');
    });
    await expect(connectControlPlane(DEPLOYMENT, client)).rejects.toThrow(
      'cannot read stack mlcdn-dev-global in us-east-1',
    );
  });
});
