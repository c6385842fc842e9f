import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import cdkJson from '../../cdk.json';
import { type ConfigOverrides, type EnvironmentConfig, loadConfig } from '../../lib/config';
import { EnvironmentStage } from '../../lib/stacks/environment-stage';

/** The templates of an environment, without bundling the functions and without validation (tests of their own do that). */
export class SynthesizedEnvironment {
  private readonly stage: EnvironmentStage;

  constructor(environment: string | EnvironmentConfig, overrides: ConfigOverrides = {}) {
    const config = typeof environment === 'string' ? loadConfig(environment, overrides) : environment;
    process.env.CDK_VALIDATION = 'false';
    const app = new App({ context: { ...cdkJson.context, 'aws:cdk:bundling-stacks': [] } });
    this.stage = new EnvironmentStage(app, config);
  }

  /** A stack by its id in the stage, e.g. `edge-eu-west-1`. */
  stack(id: string): Stack {
    const stack = this.stage.node.findChild(id);
    return stack as Stack;
  }

  /** Ids of all stacks in the stage. */
  get ids(): string[] {
    return this.stage.node.children.flatMap((child) => (Stack.isStack(child) ? [child.node.id] : []));
  }

  template(id: string): Template {
    return Template.fromStack(this.stack(id));
  }
}
