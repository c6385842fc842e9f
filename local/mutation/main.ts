import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import Table from 'cli-table3';
import { Command, InvalidArgumentError, Option } from 'commander';
import { firstModel } from '../first-model';
import { claimState, releaseState, STATE_DIR } from '../state';
import { localAssembly } from '../synthesis';
import { AssemblyCopy } from './assembly-copy';
import { MUTANT_KINDS, type Mutant, type MutantKind, mutantsOf } from './mutants';
import { checkOnly, type Outcome, startAndProbe, type TrialOptions, tryAssembly } from './trial';

/** The home region and one other: enough for replication, one control path each. */
const REGIONS = ['us-east-1', 'eu-west-1'];
const DIRECTORY = join(STATE_DIR, 'mutation');
const RESULTS_FILE = join(DIRECTORY, 'results.json');

interface Options {
  readonly only?: string;
  readonly kind?: MutantKind;
  readonly limit?: number;
  readonly resume?: boolean;
  readonly list?: boolean;
  readonly checksOnly?: boolean;
  /** `false`: skip them. */
  readonly checks: boolean;
}

/** Outcomes by mutant, for one assembly. */
interface Results {
  readonly assembly: string;
  readonly outcomes: Record<string, Outcome>;
}

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

function earlierResults(assembly: string): Results {
  if (!existsSync(RESULTS_FILE)) return { assembly, outcomes: {} };
  const results = JSON.parse(readFileSync(RESULTS_FILE, 'utf8')) as Results;
  return results.assembly === assembly ? results : { assembly, outcomes: {} };
}

function chosen(mutants: readonly Mutant[], { only, kind, limit }: Options): Mutant[] {
  const text = only?.toLowerCase();
  return mutants
    .filter((mutant) => !kind || mutant.kind === kind)
    .filter(({ id, stackName, gone }) => !text || `${id} ${stackName} ${gone}`.toLowerCase().includes(text))
    .slice(0, limit);
}

type Attempt = (trial: TrialOptions) => Promise<Outcome>;

function attemptBy({ checksOnly, checks }: Options): Attempt {
  if (checksOnly) return checkOnly;
  return checks ? tryAssembly : startAndProbe;
}

async function requireSound(trial: TrialOptions, attempt: Attempt): Promise<void> {
  say('the templates as they are ...');
  const { by, detail, seconds } = await attempt(trial);
  if (by) throw new Error(`the templates as they are do not pass, so mutants would say nothing: ${by}: ${detail}`);
  say(`  pass, ${seconds} s`);
}

function table(mutants: readonly Mutant[], outcomes: Readonly<Record<string, Outcome>>): string {
  const rows = new Table({ head: ['mutant', 'kind', 'stack', 'gone', 'caught by'], style: { head: [], border: [] } });
  const tried = mutants.flatMap((mutant) => {
    const outcome = outcomes[mutant.id];
    return outcome ? [{ mutant, outcome }] : [];
  });
  for (const { mutant, outcome } of tried) {
    rows.push([mutant.id, mutant.kind, mutant.stackName, mutant.gone, outcome.by ?? 'MISSED']);
  }
  const missed = tried.filter(({ outcome }) => outcome.by === undefined).length;
  return `${rows}\n${tried.length - missed} of ${tried.length} mutants caught, ${missed} missed`;
}

async function run(options: Options, signal: AbortSignal): Promise<void> {
  const assembly = await localAssembly(REGIONS, signal);
  const copy = new AssemblyCopy(assembly.directory, join(DIRECTORY, 'assembly'));
  const mutants = chosen(mutantsOf(copy.templates, REGIONS), options);
  if (options.list) {
    for (const { id, kind, stackName, gone } of mutants) process.stdout.write(`${id} ${kind} ${stackName}: ${gone}\n`);
    return;
  }
  const name = basename(assembly.directory);
  const attempt = attemptBy(options);
  const results = options.resume ? earlierResults(name) : { assembly: name, outcomes: {} };
  const trial = { assemblyDir: copy.directory, regions: REGIONS, model: await firstModel() };
  const left = mutants.filter(({ id }) => results.outcomes[id] === undefined);
  if (left.length > 0) await requireSound(trial, attempt);
  for (const [index, mutant] of left.entries()) {
    if (signal.aborted) break;
    const outcome = await copy.with(mutant, () => attempt(trial));
    if (signal.aborted) break;
    results.outcomes[mutant.id] = outcome;
    // What the checks alone miss, a whole trial may still catch.
    if (!options.checksOnly) writeFileSync(RESULTS_FILE, JSON.stringify(results, null, 2));
    const what = `${mutant.id} ${mutant.stackName}: ${mutant.gone}`;
    say(`[${index + 1}/${left.length}] ${what}, ${outcome.seconds} s: ${outcome.by ?? 'MISSED'}; ${outcome.detail}`);
  }
  process.stdout.write(`${table(mutants, results.outcomes)}\n`);
  if (mutants.some(({ id }) => results.outcomes[id]?.by === undefined)) process.exitCode = 1;
}

function positive(value: string): number {
  if (!/^[1-9]\d{0,5}$/.test(value)) throw new InvalidArgumentError('It must be a whole number above 0.');
  return Number(value);
}

async function main(): Promise<void> {
  const program = new Command('mutate:infra')
    .description('takes one thing after the other out of the templates of `local` and says who notices')
    .option('--only <text>', 'only mutants whose id, stack or description has this text')
    .addOption(new Option('--kind <kind>', 'only mutants of this kind').choices([...MUTANT_KINDS]))
    .option('--limit <count>', 'at most this many mutants', positive)
    .option('--resume', 'go on where an earlier run on the same templates stopped')
    .addOption(new Option('--checks-only', 'run the checks of templates alone and start nothing').conflicts('resume'))
    .option('--no-checks', 'start every mutant, whatever the checks of templates would say')
    .option('--list', 'list the mutants and try none')
    .parse();
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stopping.abort());
  claimState();
  mkdirSync(DIRECTORY, { recursive: true });
  // What stand-ins log of a trial is of use when its outcome is a riddle.
  const console = createWriteStream(join(DIRECTORY, 'unexpected.log'));
  process.on('unhandledRejection', (reason) => console.write(`${reason instanceof Error ? reason.stack : reason}\n`));
  try {
    await run(program.opts<Options>(), stopping.signal);
  } catch (error) {
    say(`mutate:infra: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  } finally {
    releaseState();
    process.exit();
  }
}

void main();
