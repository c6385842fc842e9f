import { ECSClient, ListTasksCommand } from '@aws-sdk/client-ecs';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { jsonApi } from '../../../local/aws-front/json-protocol';
import { queryApi } from '../../../local/aws-front/query-protocol';
import { ServiceError } from '../../../local/aws-front/service-error';
import type { AwsApi, CallContext } from '../../../local/engine/types';
import { ACCOUNT } from '../support/cloud-assembly';
import { clientSettings, testPlatform } from '../support/platform';

const platform = testPlatform();
const seen: Omit<CallContext, 'authorize'>[] = [];
const scopes: AwsApi = {
  signingName: 'scopes',
  handle: (_, response, { authorize: _authorize, ...context }) => {
    seen.push(context);
    response.end('ok');
  },
};
const key = () => platform.get().awsEnvironment('us-east-1').AWS_ACCESS_KEY_ID ?? '';
beforeAll(() => {
  platform.get().front.serve(
    scopes,
    queryApi('sns', {
      Publish: (parameters, { region }) => {
        if (parameters.required('Message') === 'fail') throw new ServiceError('NotFound', 'Topic does not exist', 404);
        if (parameters.required('Message') === 'crash') throw new Error('a defect');
        return { MessageId: `${region}/${parameters.required('Message')}` };
      },
    }),
    jsonApi('ecs', { ListTasks: (input) => ({ taskArns: [String(input.cluster)] }) }),
  );
});

function call(headers: Record<string, string>, path = '/'): Promise<Response> {
  return fetch(`http://127.0.0.1:${platform.get().front.port}${path}`, { headers });
}

describe('the AWS endpoint', () => {
  test('finds the service in the scope of SigV4, SigV4A and presigned requests', async () => {
    const v4 = `AWS4-HMAC-SHA256 Credential=${key()}/20261122/eu-west-1/scopes/aws4_request, SignedHeaders=host, Signature=x`;
    await call({ authorization: v4 });
    const v4a = `AWS4-ECDSA-P256-SHA256 Credential=${key()}/20261122/scopes/aws4_request, SignedHeaders=host, Signature=x`;
    await call({ authorization: v4a, 'x-amz-region-set': '*' });
    const credential = encodeURIComponent(`${key()}/20261122/ap-south-1/scopes/aws4_request`);
    await call({}, `/x?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${credential}`);
    const context = (region: string) => ({ region, account: ACCOUNT, accessKeyId: key() });
    expect(seen).toEqual([context('eu-west-1'), context('us-east-1'), context('ap-south-1')]);
  });

  test('refuses unsigned requests with 403', async () => {
    const unsigned = await call({});
    expect([unsigned.status, unsigned.headers.get('x-amzn-errortype')]).toEqual([403, 'MissingAuthenticationToken']);
    const odd = await call({ authorization: 'Bearer abc' });
    expect(odd.status).toBe(403);
  });

  test('refuses a key that was not issued here, with the code that each service has for it', async () => {
    const signed = (service: string) =>
      call({
        authorization: `AWS4-HMAC-SHA256 Credential=KEY/20261122/eu-west-1/${service}/aws4_request, Signature=x`,
      });
    const [other, s3] = [await signed('scopes'), await signed('s3')];
    expect([other.status, other.headers.get('x-amzn-errortype')]).toEqual([403, 'InvalidClientTokenId']);
    expect([s3.status, s3.headers.get('x-amzn-errortype')]).toEqual([403, 'InvalidAccessKeyId']);
  });

  test('answers 501 for a service nobody stands in for, naming it and those there are', async () => {
    const authorization = `AWS4-HMAC-SHA256 Credential=${key()}/20261122/eu-west-1/dynamodb/aws4_request, Signature=x`;
    const response = await call({ authorization });
    expect(response.status).toBe(501);
    expect(await response.json()).toMatchObject({
      message: 'no stand-in for the AWS service dynamodb; there are: ecs, scopes, sns',
    });
  });

  test('two stand-ins for one service are a mistake', () => {
    expect(() => platform.get().front.serve(scopes)).toThrow('two stand-ins claim the AWS service scopes');
  });
});

describe('the protocols, as SDK clients speak them', () => {
  const publish = (Message: string) =>
    new SNSClient(clientSettings(platform.get(), 'eu-west-1')).send(new PublishCommand({ TopicArn: 'arn', Message }));

  test('Query: result, modelled error, defect', async () => {
    expect((await publish('a & <b>')).MessageId).toBe('eu-west-1/a & <b>');
    await expect(publish('fail')).rejects.toMatchObject({ name: 'NotFoundException', message: 'Topic does not exist' });
    await expect(publish('crash')).rejects.toMatchObject({ name: 'InternalFailure', message: 'a defect' });
    expect(platform.lines).toContainEqual(expect.stringContaining('a defect'));
  });

  test('JSON 1.1: result and an action without a stand-in', async () => {
    const client = new ECSClient(clientSettings(platform.get()));
    expect((await client.send(new ListTasksCommand({ cluster: 'c' }))).taskArns).toEqual(['c']);
    const response = await call({
      authorization: `AWS4-HMAC-SHA256 Credential=${key()}/20261122/eu-west-1/ecs/aws4_request, Signature=x`,
      'x-amz-target': 'AmazonEC2ContainerServiceV20141113.RunTask',
    });
    expect(response.status).toBe(501);
    expect(await response.json()).toMatchObject({ message: 'ecs RunTask has no stand-in here' });
  });
});
