import fc from 'fast-check';
import { Sieve, type SieveNode } from '../../../../containers/edge/cache/sieve';

interface Node extends SieveNode<Node> {
  readonly name: number;
}
const node = (name: number): Node => ({ name, visited: false, newer: undefined, older: undefined });

/** The algorithm of the paper, over an array from oldest to newest. */
class Model {
  nodes: Node[] = [];
  hand = 0;

  remove(gone: Node): void {
    const at = this.nodes.indexOf(gone);
    this.nodes.splice(at, 1);
    if (at < this.hand) this.hand -= 1;
    // A hand that has gone past the newest goes on at the oldest, not at what comes meanwhile.
    if (this.hand === this.nodes.length) this.hand = 0;
  }

  next(marks: ReadonlyMap<Node, boolean>, inUse: ReadonlySet<Node>): Node | undefined {
    const visited = new Map(marks);
    for (let step = 0; step < 2 * this.nodes.length; step++) {
      const at = (this.hand + step) % this.nodes.length;
      const candidate = this.nodes[at];
      if (!candidate) break;
      if (!visited.get(candidate) && !inUse.has(candidate)) {
        this.hand = at;
        return candidate;
      }
      visited.set(candidate, false);
    }
    return undefined;
  }
}

const Step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const) }),
  fc.record({ kind: fc.constantFrom('visit', 'remove', 'demote', 'use', 'release'), which: fc.nat() }),
  fc.record({ kind: fc.constant('evict' as const) }),
);

describe('the SIEVE list', () => {
  it('evicts what the algorithm over a plain array evicts, whatever comes and goes between, and nothing in use', () => {
    fc.assert(
      fc.property(fc.array(Step, { maxLength: 80 }), (steps) => {
        const sieve = new Sieve<Node>();
        const model = new Model();
        const inUse = new Set<Node>();
        let names = 0;
        for (const step of steps) {
          if (step.kind === 'add') {
            const added = node(names++);
            sieve.add(added);
            model.nodes.push(added);
          } else if (step.kind === 'evict') {
            const expected = model.next(new Map(model.nodes.map((each) => [each, each.visited])), inUse);
            const evicted = sieve.evict((each) => inUse.has(each));
            expect(evicted).toBe(expected);
            if (evicted) model.remove(evicted);
          } else if ('which' in step && model.nodes.length > 0) {
            const chosen = model.nodes[step.which % model.nodes.length] as Node;
            if (step.kind === 'visit') chosen.visited = true;
            else if (step.kind === 'use') inUse.add(chosen);
            else if (step.kind === 'release') inUse.delete(chosen);
            else if (step.kind === 'demote') {
              sieve.demote(chosen);
              model.hand = model.nodes.indexOf(chosen);
            } else {
              sieve.remove(chosen);
              model.remove(chosen);
            }
          }
        }
        while (model.nodes.length > 0) {
          const evicted = sieve.evict() as Node;
          expect(model.nodes).toContain(evicted);
          model.remove(evicted);
        }
        expect(sieve.evict()).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  it('links nothing from a node that has been removed or evicted: a dead node keeps no other alive', () => {
    const sieve = new Sieve<Node>();
    const nodes = [0, 1, 2, 3].map(node);
    for (const each of nodes) sieve.add(each);
    sieve.remove(nodes[1] as Node);
    expect(sieve.evict()).toBe(nodes[0]);
    for (const dead of nodes.slice(0, 2)) expect(dead).toMatchObject({ newer: undefined, older: undefined });
    sieve.clear();
    expect(sieve.evict()).toBeUndefined();
  });
});
