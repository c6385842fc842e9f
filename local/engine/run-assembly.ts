import { readAssembly, type Stack } from './assembly';
import { type GraphNode, startGraph } from './graph';
import { Evaluator } from './intrinsics';
import { StackState } from './stack-state';
import type { Resource, ResourceModule } from './types';

/** A running cloud assembly. */
export interface RunningAssembly {
  /** Evaluated outputs of a stack; throws when the assembly has no stack of that name (in that region). */
  outputs(stackName: string, region?: string): Readonly<Record<string, unknown>>;
  /** Every stack with its region and outputs. */
  readonly stacks: readonly {
    stackName: string;
    stackId: string;
    region: string;
    outputs: Readonly<Record<string, unknown>>;
  }[];
  /** Ends everything in the reverse order of starting. */
  stop(): Promise<void>;
}

export interface RunOptions {
  /** Directory with the `manifest.json` of a cloud assembly. */
  readonly assemblyDir: string;
  /** One module per resource type. */
  readonly modules: readonly ResourceModule[];
  /**
   * Wiring that can only be judged when everything stands, e.g. that a subscription's function permits its topic.
   * Each returns findings; any finding ends the run.
   */
  readonly checks?: readonly (() => readonly string[])[];
  /** Value of a secret by name and region, for dynamic references; by default there are none. */
  readonly secrets?: ((name: string, region: string) => string | undefined) | undefined;
  readonly log: (line: string) => void;
  readonly onProgress?: (progress: {
    readonly started: number;
    readonly total: number;
    readonly resource: string;
  }) => void;
}

/**
 * Brings up what a cloud assembly describes, resource by resource in dependency order.
 *
 * @throws on a resource type without a module, anything unresolved in a template, a resource that fails to start, or a
 *   finding of `checks`; whatever had started is ended first.
 */
export async function runAssembly(options: RunOptions): Promise<RunningAssembly> {
  const stacks = readAssembly(options.assemblyDir);
  if (stacks.length === 0) throw new Error(`${options.assemblyDir} is a cloud assembly without stacks`);
  const modules = new Map(options.modules.map((module) => [module.type, module]));
  const states: StackState[] = stacks.map((stack) => new StackState(stack, () => states, options.secrets));
  const nodes = states.flatMap((state) => stackNodes(state, modules, options));
  nodes.push({
    id: 'wiring checks',
    dependencies: stacks.map(completionId),
    start: () => runChecks(options.checks ?? []),
  });

  const graph = await startGraph(nodes);
  return {
    outputs: (stackName, region) => {
      const state = states.find((s) => s.stack.stackName === stackName && (!region || s.stack.region === region));
      if (!state) throw new Error(`the assembly has no stack ${stackName}${region ? ` in ${region}` : ''}`);
      return state.outputs;
    },
    stacks: states.map(({ stack: { stackName, region }, stackId, outputs }) => ({
      stackName,
      stackId,
      region,
      outputs,
    })),
    stop: () => graph.stop(),
  };
}

function stackNodes(
  state: StackState,
  modules: ReadonlyMap<string, ResourceModule>,
  { log, onProgress }: RunOptions,
): GraphNode[] {
  const { stack } = state;
  const evaluator = new Evaluator(state);
  const before = stack.dependencies.map((id) => `stack ${id}`);
  const present = Object.entries(stack.template.Resources).filter(
    ([logicalId, { Condition }]) =>
      Condition === undefined || evaluator.condition(Condition, `${stack.stackName}/${logicalId}`),
  );
  const presentIds = new Set(present.map(([logicalId]) => logicalId));
  const nodeId = (logicalId: string) => `${stack.stackName} (${stack.region})/${logicalId}`;
  state.expect(presentIds.size);

  const resources = present.map(([logicalId, definition]): GraphNode => {
    const module = modules.get(definition.Type);
    if (!module) {
      throw new Error(
        `stack ${stack.stackName}, resource ${logicalId}: no module runs ${definition.Type}; add one under local/ ` +
          '(or a row to local/inert/inert-resources.ts when it has no behaviour on one machine)',
      );
    }
    const path = `stack ${stack.stackName}, resource ${logicalId}: Properties`;
    const references = [...evaluator.references(definition.Properties, path), ...definition.DependsOn];
    return {
      id: nodeId(logicalId),
      dependencies: [...new Set([...before, ...references.filter((id) => presentIds.has(id)).map(nodeId)])],
      start: async () => {
        const properties = evaluator.value(definition.Properties, path) as Record<string, unknown>;
        const running = await startResource(module, { ...state.identity(logicalId, definition.Type), properties });
        state.started(logicalId, running);
        log(`${stack.stackName}/${logicalId} ${definition.Type} ${running.ref}`);
        onProgress?.({ ...state.progress(), resource: nodeId(logicalId) });
        return running.stop;
      },
    };
  });
  const completion: GraphNode = {
    id: completionId(stack),
    dependencies: [...before, ...resources.map(({ id }) => id)],
    start: async () => {
      state.complete(evaluator);
      return undefined;
    },
  };
  return [...resources, completion];
}

async function startResource(module: ResourceModule, resource: Resource) {
  try {
    return await module.start(resource);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`stack ${resource.stackName}, resource ${resource.logicalId} (${resource.type}): ${reason}`, {
      cause: error,
    });
  }
}

async function runChecks(checks: readonly (() => readonly string[])[]): Promise<undefined> {
  const findings = checks.flatMap((check) => check());
  if (findings.length > 0)
    throw new Error(`the templates are wired wrongly:\n${findings.map((f) => `  - ${f}`).join('\n')}`);
}

function completionId(stack: Stack): string {
  return `stack ${stack.id}`;
}
