import { type GraphNode, startGraph } from '../../../local/engine/graph';

/** Nodes that write down what happens; a gate holds a node's start until it is opened. */
function nodes(
  dependencies: Readonly<Record<string, readonly string[]>>,
  behaviour: Readonly<Record<string, () => Promise<void>>> = {},
) {
  const events: string[] = [];
  const list = Object.entries(dependencies).map(
    ([id, dependsOn]): GraphNode => ({
      id,
      dependencies: dependsOn,
      start: async () => {
        events.push(`begin ${id}`);
        await behaviour[id]?.();
        events.push(`up ${id}`);
        return async () => {
          events.push(`down ${id}`);
        };
      },
    }),
  );
  return { list, events };
}

describe('startGraph', () => {
  test('starts after dependencies and stops in reverse', async () => {
    const { list, events } = nodes({ service: ['cache', 'network'], cache: ['network'], network: [] });
    const graph = await startGraph(list);
    expect(events.filter((event) => event.startsWith('up'))).toEqual(['up network', 'up cache', 'up service']);
    await graph.stop();
    expect(events.slice(-3)).toEqual(['down service', 'down cache', 'down network']);
  });

  test('starts independent nodes at the same time', async () => {
    let meet: () => void = () => {};
    const met = new Promise<void>((resolve) => {
      meet = resolve;
    });
    // Each would wait for ever if the other were not started beside it.
    const { list, events } = nodes({ a: [], b: [] }, { a: () => met, b: async () => meet() });
    await startGraph(list);
    expect(events).toContain('up a');
  });

  test('a failure starts nothing more, awaits what is under way and stops what has started', async () => {
    let release: () => void = () => {};
    const slow = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { list, events } = nodes(
      { base: [], broken: ['base'], slow: ['base'], after: ['broken'] },
      {
        broken: async () => {
          release();
          throw new Error('no disk');
        },
        slow: () => slow,
      },
    );
    await expect(startGraph(list)).rejects.toThrow('no disk');
    expect(events).not.toContain('begin after');
    expect(events.slice(-3)).toEqual(['up slow', 'down slow', 'down base']);
  });

  test('stops every node even when one does not stop, and says which', async () => {
    const { list, events } = nodes({ a: [], c: ['b'], b: ['a'] });
    const stubborn = list.map(
      (node): GraphNode =>
        node.id === 'b'
          ? {
              ...node,
              start: async () => async () => {
                throw new Error('busy');
              },
            }
          : node,
    );
    const graph = await startGraph(stubborn);
    await expect(graph.stop()).rejects.toThrow('b did not stop: busy');
    expect(events.slice(-2)).toEqual(['down c', 'down a']);
  });

  test('refuses a cycle and an unknown dependency before anything starts', async () => {
    const cycle = nodes({ a: ['b'], b: ['c'], c: ['b'] });
    await expect(startGraph(cycle.list)).rejects.toThrow('dependency cycle: b -> c -> b');
    const unknown = nodes({ a: ['nobody'] });
    await expect(startGraph(unknown.list)).rejects.toThrow('a depends on nobody, which does not exist');
    expect([...cycle.events, ...unknown.events]).toEqual([]);
  });
});
