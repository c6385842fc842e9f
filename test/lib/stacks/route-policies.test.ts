import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import cdkJson from '../../../cdk.json';
import { readConfig } from '../../../containers/edge/config';
import { parseConfig } from '../../../lib/config';
import { local } from '../../../lib/config/local';
import { EdgeStack } from '../../../lib/stacks/edge-stack';

interface TaskProperties {
  readonly ContainerDefinitions: readonly {
    readonly Environment: readonly { readonly Name: string; readonly Value: unknown }[];
  }[];
}

let imageContext: string;
beforeAll(() => {
  imageContext = mkdtempSync(join(tmpdir(), 'mlcdn-image-'));
  writeFileSync(join(imageContext, 'Dockerfile'), 'FROM scratch');
});
afterAll(() => rmSync(imageContext, { recursive: true, force: true }));

/** The variable ROUTE_POLICIES of the tasks of an environment that differs from `local` by `changes`. */
function routePoliciesVariable(changes: object): unknown {
  process.env.CDK_VALIDATION = 'false';
  const config = parseConfig({ ...local, ...changes });
  const [region] = config.regions;
  if (!region) throw new Error('no region');
  const app = new App({ context: { ...cdkJson.context, 'aws:cdk:bundling-stacks': [] } });
  const env = { account: config.account, region: region.region };
  const stack = new EdgeStack(app, 'edge', {
    config,
    region,
    imageContext,
    env,
  });
  const [task] = Object.values(Template.fromStack(stack).findResources('AWS::ECS::TaskDefinition'));
  const properties: TaskProperties = task?.Properties;
  return properties.ContainerDefinitions[0]?.Environment.find(({ Name }) => Name === 'ROUTE_POLICIES')?.Value;
}

test('the policies of an environment are those that its tasks read', () => {
  const routePolicies = [
    { path: '/api/*', defaultTtlSeconds: 60, tags: ['api'] },
    { path: '/"{x}"/*', cache: false },
  ];
  const variable = routePoliciesVariable({ originUrl: 'https://api.example.com', routePolicies });
  expect(readConfig({ MODELS_DIR: 'models', ROUTE_POLICIES: String(variable) }).routePolicies).toEqual(routePolicies);
});

test('an environment without policies sets no variable', () => {
  expect(routePoliciesVariable({})).toBeUndefined();
});
