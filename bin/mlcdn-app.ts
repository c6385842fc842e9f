import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, NIST80053R5Checks, ServerlessChecks } from 'cdk-nag';
import { ConfigError, type ConfigOverrides, type EnvironmentConfig, loadConfig } from '../lib/config';
import { EnvironmentStage } from '../lib/stacks/environment-stage';

/**
 * The CDK app. Context: `env` (environment, default `dev`), `regions` (comma-separated, or `all`, instead of
 * the environment's).
 * Environment variables: `MLCDN_ACCOUNT_<ENV>` (account instead of the documented example), `MLCDN_NAG=off` (skips
 * cdk-nag), `CDK_VALIDATION=false` (CDK's own switch: skips every validation).
 */
function main(): void {
  const app = new App();
  if (process.env.MLCDN_NAG !== 'off')
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new ServerlessChecks(app), new NIST80053R5Checks(app));
  new EnvironmentStage(app, readConfig(app));
  app.synth();
}

function readConfig(app: App): EnvironmentConfig {
  const name = String(app.node.tryGetContext('env') ?? 'dev');
  const account = process.env[`MLCDN_ACCOUNT_${name.toUpperCase()}`];
  const regions: unknown = app.node.tryGetContext('regions');
  const overrides: ConfigOverrides = {
    ...(account === undefined ? {} : { account }),
    ...(regions === undefined ? {} : { regions: regions === 'all' ? ('all' as const) : String(regions).split(',') }),
  };
  try {
    return loadConfig(name, overrides);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}

main();
