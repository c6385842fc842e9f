/**
 * Runs the client of the public suite once and prints its verdicts as one JSON document. A process of its own because
 * the suite keeps its results in module state. Arguments: suite folder, base URL, tests at once, and ids (none: all).
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';

/** One test of the suite. */
export interface SuiteTest {
  readonly id: string;
  readonly name: string;
  readonly kind?: 'required' | 'optimal' | 'check';
  readonly browser_only?: boolean;
  readonly depends_on?: readonly string[];
  dump?: boolean;
}

/** How the suite judges one test, by its own rules. */
export interface SuiteVerdict {
  readonly id: string;
  readonly kind: 'required' | 'optimal' | 'check';
  readonly passed: boolean;
  /** The suite's name of the outcome: `pass`, `fail`, `dependency_fail`, ... */
  readonly outcome: string;
  /** Why it failed, in the suite's words. */
  readonly reason: string;
}

interface TestSet {
  readonly tests: readonly SuiteTest[];
}

interface Suite {
  readonly sets: readonly TestSet[];
  readonly runTests: (sets: readonly TestSet[], browser: boolean, base: string, atOnce: number) => Promise<void>;
  readonly getResults: () => Readonly<Record<string, true | readonly [string, string]>>;
  readonly resultTypes: Readonly<Record<string, unknown>>;
  readonly determineTestResult: (
    sets: readonly TestSet[],
    id: string,
    results: unknown,
    honourDependencies: boolean,
  ) => unknown;
}

async function main(): Promise<void> {
  const [folder = '', base = '', atOnce = '25', ...ids] = process.argv.slice(2);
  // Standard output is for the verdicts; what the suite logs about a dumped test goes to standard error.
  console.log = (...values) =>
    process.stderr.write(`${values.map((value) => (typeof value === 'string' ? value : inspect(value))).join(' ')}\n`);
  const suite = await load(folder);
  const chosen = suite.sets.map((set) => ({ ...set, tests: set.tests.filter((test) => isChosen(test, ids)) }));
  if (ids.length > 0) for (const test of chosen.flatMap((set) => set.tests)) test.dump = true;
  await suite.runTests(chosen, false, base, Number(atOnce));
  const results = suite.getResults();
  const verdicts = chosen.flatMap((set) => set.tests.map((test) => judge(suite, test, results, ids.length === 0)));
  process.stdout.write(JSON.stringify(verdicts), () => process.exit(0));
}

async function load(folder: string): Promise<Suite> {
  const [tests, runner, results] = await Promise.all(
    ['tests/index.mjs', 'test-engine/client/runner.mjs', 'test-engine/lib/results.mjs'].map(
      (file) => import(pathToFileURL(join(folder, file)).href),
    ),
  );
  return { sets: tests.default, ...runner, ...results };
}

function isChosen(test: SuiteTest, ids: readonly string[]): boolean {
  if (test.browser_only === true) return false;
  return ids.length === 0 || ids.includes(test.id);
}

function judge(
  suite: Suite,
  test: SuiteTest,
  results: ReturnType<Suite['getResults']>,
  honourDependencies: boolean,
): SuiteVerdict {
  const type = suite.determineTestResult(suite.sets, test.id, results, honourDependencies);
  const outcome = Object.keys(suite.resultTypes).find((name) => suite.resultTypes[name] === type) ?? 'unknown';
  const result = results[test.id];
  return {
    id: test.id,
    kind: test.kind ?? 'required',
    passed: outcome === 'pass' || outcome === 'yes',
    outcome,
    reason: Array.isArray(result) ? result.join(': ') : '',
  };
}

main().catch((error: unknown) => {
  process.stderr.write(`${inspect(error)}\n`);
  process.exit(1);
});
