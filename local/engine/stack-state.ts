import type { Stack } from './assembly';
import type { EvaluationScope, Evaluator } from './intrinsics';
import { uuidFrom } from './physical-name';
import type { Resource, Running } from './types';

/** What is known of one stack while it comes up: its started resources, then its outputs and exports. */
export class StackState implements EvaluationScope {
  readonly stackId: string;
  outputs: Readonly<Record<string, unknown>> = {};
  private readonly running = new Map<string, Running>();
  private readonly exports = new Map<string, unknown>();
  private completed = false;
  private expected = 0;

  constructor(
    readonly stack: Stack,
    private readonly allStacks: () => readonly StackState[],
    private readonly secrets: (name: string, region: string) => string | undefined = () => undefined,
  ) {
    const { region, account, stackName } = stack;
    this.stackId = `arn:aws:cloudformation:${region}:${account}:stack/${stackName}/${uuidFrom(`${region}/${stackName}`)}`;
  }

  get stackName(): string {
    return this.stack.stackName;
  }

  get account(): string {
    return this.stack.account;
  }

  get region(): string {
    return this.stack.region;
  }

  get template(): Stack['template'] {
    return this.stack.template;
  }

  /** A resource of this stack without its properties. */
  identity(logicalId: string, type: string): Omit<Resource, 'properties'> {
    const { stackName, region, account, assets } = this.stack;
    return { stackName, region, account, logicalId, type, assets };
  }

  /** Says how many resources will start, for progress. */
  expect(resources: number): void {
    this.expected = resources;
  }

  started(logicalId: string, running: Running): void {
    this.running.set(logicalId, running);
  }

  /** Resources started and expected, over all stacks. */
  progress(): { started: number; total: number } {
    const sum = (count: (state: StackState) => number) => this.allStacks().reduce((total, s) => total + count(s), 0);
    return { started: sum((s) => s.running.size), total: sum((s) => s.expected) };
  }

  /** Evaluates outputs and exports once every resource stands. */
  complete(evaluator: Evaluator): void {
    const outputs: Record<string, unknown> = {};
    for (const [name, output] of Object.entries(this.template.Outputs)) {
      const path = `stack ${this.stackName}, output ${name}`;
      if (output.Condition !== undefined && !evaluator.condition(output.Condition, path)) continue;
      outputs[name] = evaluator.value(output.Value, path);
      if (output.Export) this.exports.set(String(evaluator.value(output.Export.Name, path)), outputs[name]);
    }
    this.outputs = outputs;
    this.completed = true;
  }

  ref(logicalId: string): string | undefined {
    return this.running.get(logicalId)?.ref;
  }

  attribute(logicalId: string, name: string): unknown {
    const attributes = this.running.get(logicalId)?.attributes ?? {};
    if (!Object.hasOwn(attributes, name)) {
      const offered = Object.keys(attributes).join(', ') || 'none';
      const type = this.template.Resources[logicalId]?.Type;
      throw new Error(`${logicalId} (${type}) has no attribute ${name} here; its module gives: ${offered}`);
    }
    return attributes[name];
  }

  importValue(name: string): unknown {
    const exporter = this.allStacks().find((s) => s.region === this.region && s.exports.has(name));
    if (!exporter) throw new Error(`no stack that this one depends on exports ${name} in ${this.region}`);
    return exporter.exports.get(name);
  }

  stackOutput(stackName: string, region: string, outputName: string): unknown {
    const state = this.allStacks().find((s) => s.stackName === stackName && s.region === region);
    if (!state?.completed || !Object.hasOwn(state.outputs, outputName)) {
      throw new Error(`stack ${stackName} in ${region} has no output ${outputName} yet; is the dependency declared?`);
    }
    return state.outputs[outputName];
  }

  systemParameter(name: string): string | undefined {
    return this.stack.systemParameters.get(name);
  }

  secret(name: string): string | undefined {
    return this.secrets(name, this.region);
  }
}
