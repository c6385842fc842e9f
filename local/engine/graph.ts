/** One thing to start after the things it depends on. */
export interface GraphNode {
  readonly id: string;
  readonly dependencies: Iterable<string>;
  /** Starts it; what it returns ends it again. */
  start(): Promise<(() => Promise<void>) | undefined>;
}

/** A graph that has started. */
export interface StartedGraph {
  /** Ends every node in the reverse order of starting; rejects with all failures after having tried every node. */
  stop(): Promise<void>;
}

/**
 * Starts every node as soon as its dependencies have started, independent ones at the same time. When one fails, no
 * further node starts, those under way are awaited, everything started is ended in reverse order, and the first failure
 * is thrown.
 *
 * @throws at once on a dependency that does not exist or a cycle, naming it.
 */
export async function startGraph(nodes: readonly GraphNode[]): Promise<StartedGraph> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  refuseUnknownDependencies(nodes, byId);
  refuseCycles(nodes, byId);

  const stops: { id: string; stop: () => Promise<void> }[] = [];
  const starting = new Map<string, Promise<void>>();
  let failure: { error: unknown } | undefined;

  const start = (node: GraphNode): Promise<void> => {
    const underWay = starting.get(node.id);
    if (underWay) return underWay;
    const started = startAfterDependencies(node);
    starting.set(node.id, started);
    return started;
  };
  const startAfterDependencies = async (node: GraphNode): Promise<void> => {
    await Promise.all([...node.dependencies].map((id) => start(required(byId, id))));
    if (failure) return;
    try {
      const stop = await node.start();
      if (stop) stops.push({ id: node.id, stop });
    } catch (error) {
      failure ??= { error };
    }
  };

  await Promise.all(nodes.map(start));
  if (failure) {
    await stopInReverse(stops).catch((stopError: unknown) => {
      throw new AggregateError(
        [failure?.error, stopError],
        `${messageOf(failure?.error)}; and then ${messageOf(stopError)}`,
      );
    });
    throw failure.error;
  }
  return { stop: () => stopInReverse(stops) };
}

async function stopInReverse(stops: { id: string; stop: () => Promise<void> }[]): Promise<void> {
  const failures: unknown[] = [];
  for (let last = stops.pop(); last; last = stops.pop()) {
    const { id, stop } = last;
    await stop().catch((error: unknown) => failures.push(new Error(`${id} did not stop: ${messageOf(error)}`)));
  }
  if (failures.length > 0) throw new AggregateError(failures, failures.map(messageOf).join('; '));
}

function refuseUnknownDependencies(nodes: readonly GraphNode[], byId: ReadonlyMap<string, GraphNode>): void {
  for (const node of nodes) {
    for (const dependency of node.dependencies) {
      if (!byId.has(dependency)) throw new Error(`${node.id} depends on ${dependency}, which does not exist`);
    }
  }
}

function refuseCycles(nodes: readonly GraphNode[], byId: ReadonlyMap<string, GraphNode>): void {
  const done = new Set<string>();
  const visit = (node: GraphNode, trail: readonly string[]): void => {
    if (done.has(node.id)) return;
    const seenAt = trail.indexOf(node.id);
    if (seenAt >= 0) throw new Error(`dependency cycle: ${[...trail.slice(seenAt), node.id].join(' -> ')}`);
    for (const dependency of node.dependencies) visit(required(byId, dependency), [...trail, node.id]);
    done.add(node.id);
  };
  for (const node of nodes) visit(node, []);
}

function required(byId: ReadonlyMap<string, GraphNode>, id: string): GraphNode {
  const node = byId.get(id);
  if (!node) throw new Error(`node ${id} does not exist`);
  return node;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
