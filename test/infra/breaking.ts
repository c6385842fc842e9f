import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CheckedAssembly, evaluateAssembly } from '../../lib/checks/assembly';
import type { Check, Finding } from '../../lib/checks/finding';
import { loadConfig } from '../../lib/config';
import { readAssembly, type Stack } from '../../local/engine/assembly';
import { sharedAssembly } from '../support/shared-assemblies';

const directories: string[] = [];
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/** The templates of an environment as `cdk synth` writes them, its programs bundled, without the validators. */
export function synthesized(environment: string, regions: readonly string[]): readonly Stack[] {
  return readAssembly(sharedAssembly(loadConfig(environment, { regions })));
}

/** A copy of an environment's assembly in a directory of its own, to be changed. */
export function synthesizeInto(outdir: string, environment: string, regions: readonly string[]): void {
  cpSync(sharedAssembly(loadConfig(environment, { regions })), outdir, { recursive: true });
}

/** One fault put into the templates. */
export interface Fault {
  /** Artifact id without the environment, e.g. `edge-eu-west-1`. */
  readonly stack: string;
  readonly type: string;
  /** Picks one of several resources by logical id. */
  readonly named?: RegExp;
  /** Where in the definition, e.g. `Properties.Tags.0.Value`; absent: the whole resource. */
  readonly path?: string;
  /** New value; `undefined` takes away what is there. */
  readonly to?: unknown;
}

/** A fault in the stack of the region `eu-west-1`. */
export function inEdge(type: string, named: RegExp, path?: string, to?: unknown): Fault {
  return { stack: 'edge-eu-west-1', type, named, ...(path === undefined ? {} : { path, to }) };
}

/** A fault in the global stack. */
export function inGlobal(type: string, path?: string, to?: unknown): Fault {
  return { stack: 'global', type, ...(path === undefined ? {} : { path, to }) };
}

/** What is broken, the fault, and what a finding must say. */
export type Case = readonly [what: string, fault: Fault, says: RegExp];

/** Tests that a check finds nothing in the templates as they are, and each fault that is put into them. */
export function expectEachCaught(stacks: readonly Stack[], check: Check, cases: readonly Case[]): void {
  test('finds nothing in the templates as they are', async () => {
    expect(await findings(check, stacks)).toEqual([]);
  });
  test.each(cases)('%s', async (_, fault, says) => {
    const found = await findings(check, stacks, fault);
    expect(found.map(({ problem }) => problem)).toContainEqual(expect.stringMatching(says));
    for (const { stack, resource, right } of found) {
      expect([stack, resource, right]).not.toContain('');
    }
  });
}

/** What a check finds in the templates as they are, or with faults. */
export async function findings(
  check: Check,
  stacks: readonly Stack[],
  ...faults: readonly Fault[]
): Promise<Finding[]> {
  return [...(await check.run(withFaults(stacks, faults)))];
}

/** The stacks with another program in every image: that of the templates after an edit. @throws when it changes nothing. */
export function withOwnCode(stacks: readonly Stack[], edit: (code: string) => string): readonly Stack[] {
  const edited = new Map<string, string>();
  const editedCopy = (original: string): string => {
    const directory = mkdtempSync(join(tmpdir(), 'infra-image-'));
    directories.push(directory);
    cpSync(original, directory, { recursive: true, dereference: true });
    const code = readFileSync(join(directory, 'server.js'), 'utf8');
    if (edit(code) === code) throw new Error('the edit changes nothing');
    writeFileSync(join(directory, 'server.js'), edit(code));
    return directory;
  };
  return stacks.map((stack) => {
    const imageDirectoryByTag = (tag: string) => {
      const original = stack.assets.imageDirectoryByTag(tag);
      const directory = edited.get(original) ?? editedCopy(original);
      edited.set(original, directory);
      return directory;
    };
    return { ...stack, assets: { ...stack.assets, imageDirectoryByTag } };
  });
}

/** A copy with the faults. @throws when a fault matches no resource, or changes nothing. */
export function withFaults(stacks: readonly Stack[], faults: readonly Fault[]): CheckedAssembly {
  const copies = stacks.map((stack) => ({ ...stack, template: structuredClone(stack.template) }));
  for (const fault of faults) breakOne(copies, fault);
  return evaluateAssembly(copies);
}

function breakOne(stacks: readonly Stack[], { stack: suffix, type, named = /./, path, to }: Fault): void {
  const stack = stacks.find(({ id }) => id.includes(suffix.replaceAll('-', '')));
  const resources = stack?.template.Resources ?? {};
  const [logicalId, definition] = Object.entries(resources).find(
    ([id, { Type }]) => Type === type && named.test(id),
  ) ?? ['', undefined];
  if (!definition) throw new Error(`${suffix} has no ${type} ${named}`);
  const steps = path?.split('.') ?? [];
  let parent: Record<string, unknown> = steps.length === 0 ? resources : (definition as Record<string, unknown>);
  for (const step of steps.slice(0, -1)) parent = parent[step] as Record<string, unknown>;
  const last = steps.at(-1) ?? logicalId;
  if (JSON.stringify(parent[last]) === JSON.stringify(to)) throw new Error(`${path} of ${logicalId} is that already`);
  if (to !== undefined) parent[last] = to;
  else if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
}
