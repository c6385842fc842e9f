import { readFile } from 'node:fs/promises';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { type DrainResult, drainRegion, undrainRegion } from '../lib/control/drain';
import { ControlError, reasonOf, UsageError } from '../lib/control/errors';
import { type InvalidateRequest, invalidate, planInvalidation } from '../lib/control/invalidate';
import { type PublishRequest, planPublication, publishModel } from '../lib/control/publish';
import { rollbackModel } from '../lib/control/rollback';
import type { RolloutTimeouts } from '../lib/control/rollout';
import { rotateOriginKey } from '../lib/control/rotate-origin-key';
import { readStatus } from '../lib/control/status';
import { CachePolicy, GoldenSample } from '../lib/core/manifest';
import { connect } from './mlcdn-connect';
import { planEnvironment, planText } from './mlcdn-plan';
import { drainText, invalidationText, rolloutText, rotationText, statusText } from './mlcdn-tables';

const FAILED = 1;
const WRONG_USAGE = 2;

interface CommonOptions {
  readonly env: string;
  readonly json?: boolean;
}

interface PublishOptions extends CommonOptions {
  readonly name: string;
  readonly version: string;
  readonly golden?: string;
  readonly signatureChange?: boolean;
  readonly cachePolicy?: string;
  readonly ttl?: number;
  readonly tag: readonly string[];
  readonly timeout?: number;
}

interface RollbackOptions extends CommonOptions {
  readonly to?: string;
  readonly timeout?: number;
}

interface DrainOptions extends CommonOptions {
  readonly force?: boolean;
}

interface InvalidateOptions extends CommonOptions {
  readonly key?: readonly string[];
  readonly tag?: readonly string[];
  readonly prefix?: readonly string[];
  readonly pattern?: readonly string[];
  readonly model?: readonly string[];
  readonly path?: readonly string[];
  readonly wait?: boolean;
  readonly settle?: number;
  readonly timeout?: number;
}

const progress = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

function print<T>(options: CommonOptions, result: T, text: (result: T) => string): void {
  process.stdout.write(`${options.json ? JSON.stringify(result, null, 2) : text(result)}\n`);
}

async function publish(file: string, options: PublishOptions): Promise<void> {
  const request: PublishRequest = {
    name: options.name,
    version: options.version,
    onnx: await readInput(file),
    ...(options.golden ? { golden: await readGolden(options.golden) } : {}),
    cache: await cachePolicy(options),
    signatureChange: options.signatureChange === true,
    timeouts: stepTimeouts(options.timeout),
  };
  // As for an invalidation: wrong usage whether or not the environment can be reached.
  planPublication(request);
  print(options, await publishModel(request, await connect(options.env), progress), rolloutText);
}

async function rollback(name: string, options: RollbackOptions): Promise<void> {
  const request = { name, ...(options.to ? { to: options.to } : {}), timeouts: stepTimeouts(options.timeout) };
  print(options, await rollbackModel(request, await connect(options.env), progress), rolloutText);
}

async function status(options: CommonOptions): Promise<void> {
  print(options, await readStatus(await connect(options.env)), statusText);
}

async function runInvalidate(options: InvalidateOptions): Promise<void> {
  const request: InvalidateRequest = {
    keys: options.key ?? [],
    tags: options.tag ?? [],
    prefixes: options.prefix ?? [],
    patterns: options.pattern ?? [],
    models: options.model ?? [],
    paths: options.path ?? [],
    wait: options.wait ?? false,
    settleMs: (options.settle ?? 0) * 1000,
    ...(options.timeout ? { timeoutMs: options.timeout * 1000 } : {}),
  };
  // A request that cannot be is wrong usage whether or not the environment can be reached.
  planInvalidation(request);
  print(options, await invalidate(request, await connect(options.env), progress), invalidationText);
}

function planDeploy(options: CommonOptions & { readonly regions?: string }): void {
  const request = { environment: options.env, regions: options.regions };
  print(options, planEnvironment(request), planText(request));
}

async function drain(region: string, options: DrainOptions): Promise<void> {
  const plane = await connect(options.env);
  const result = await drainRegion({ region, force: options.force ?? false }, plane, progress);
  print<DrainResult>(options, result, drainText);
}

async function undrain(region: string, options: CommonOptions): Promise<void> {
  print<DrainResult>(options, await undrainRegion({ region }, await connect(options.env), progress), drainText);
}

async function rotate(options: CommonOptions & { readonly timeout?: number }): Promise<void> {
  const request = options.timeout === undefined ? {} : { timeoutMs: options.timeout * 1000 };
  print(options, await rotateOriginKey(request, await connect(options.env), progress), rotationText);
}

async function readInput(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new ControlError(`cannot read ${file}: ${reasonOf(error)}`);
  }
}

function readGolden(file: string): Promise<GoldenSample[]> {
  return readJson(file, z.array(GoldenSample).min(1), 'a JSON array of golden samples ({inputs, outputs})');
}

/** The policy of `--cache-policy`, with the TTL of `--ttl` instead of its own and the tags of `--tag` beside its own. */
async function cachePolicy({ cachePolicy: file, ttl, tag }: PublishOptions): Promise<z.input<typeof CachePolicy>> {
  const policy: z.input<typeof CachePolicy> = file ? await readJson(file, CachePolicy, 'a JSON cache policy') : {};
  const tags = [...(policy.tags ?? []), ...tag];
  return { ...policy, tags, ...(ttl === undefined ? {} : { ttlSeconds: ttl }) };
}

async function readJson<T>(file: string, schema: z.ZodType<T>, meaning: string): Promise<T> {
  const text = (await readInput(file)).toString('utf8');
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : reasonOf(error);
    throw new ControlError(`${file} is not ${meaning}: ${reason}`);
  }
}

function stepTimeouts(seconds: number | undefined): Partial<RolloutTimeouts> {
  if (seconds === undefined) return {};
  const ms = seconds * 1000;
  return { replicationMs: ms, prepareMs: ms, activateMs: ms };
}

function wholeSeconds(value: string): number {
  if (!/^\d{1,8}$/.test(value)) throw new InvalidArgumentError('It must be a whole number of seconds.');
  return Number(value);
}

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

function withCommonOptions(command: Command): Command {
  return command
    .option('--env <name>', 'environment: local, dev, staging or prod', 'local')
    .option('--json', 'print one JSON document on standard output');
}

function createProgram(): Command {
  const program = new Command('mlcdn').description('Operates a content delivery network for machine-learning systems.');
  program.exitOverride().showHelpAfterError('(see: mlcdn --help)');

  withCommonOptions(program.command('publish'))
    .description('check a model version, upload it, and make it live in every region')
    .argument('<file>', 'ONNX file')
    .requiredOption('--name <name>', 'name of the model')
    .requiredOption('--version <version>', 'version; never changes once published')
    .option('--golden <file>', 'JSON array of golden samples that every task checks before it serves')
    .option('--signature-change', 'its inputs or outputs differ, on purpose, from those of the version that serves')
    .option('--cache-policy <file>', 'JSON object saying how predictions are cached: docs/architecture.md')
    .option('--ttl <seconds>', 'how long predictions stay fresh in caches (default: 300)', wholeSeconds)
    .option('--tag <tag>', 'further cache tag of its predictions; repeatable', collect, [])
    .option('--timeout <seconds>', 'patience for each step', wholeSeconds)
    .action(publish);

  withCommonOptions(program.command('rollback'))
    .description('make an earlier version of a model live again')
    .argument('<name>', 'name of the model')
    .option('--to <version>', 'version to go to (default: the one before)')
    .option('--timeout <seconds>', 'patience for each step', wholeSeconds)
    .action(rollback);

  withCommonOptions(program.command('status'))
    .description('show models, edge tasks and regional caches of every region')
    .action(status);

  withCommonOptions(program.command('drain'))
    .description('take a region out of service: new requests go to the others until it is put back')
    .argument('<region>', 'AWS region')
    .option('--force', 'drain it even when no other region serves')
    .action(drain);

  withCommonOptions(program.command('undrain'))
    .description('put a drained region back into service')
    .argument('<region>', 'AWS region')
    .action(undrain);

  withCommonOptions(program.command('rotate-origin-key'))
    .description('renew the keys by which load balancers know CloudFront, now instead of on schedule')
    .option('--timeout <seconds>', 'patience for the whole rotation (default: 2700)', wholeSeconds)
    .action(rotate);

  withCommonOptions(program.command('invalidate'))
    .description('forget cached answers at every tier of every region; tags, models and paths at CloudFront too')
    .option('--key <keys...>', 'keys of the edge cache')
    .option('--tag <tags...>', 'cache tags')
    .option('--prefix <prefixes...>', 'beginnings of keys')
    .option('--pattern <globs...>', "globs over keys: '*' any characters, '?' exactly one")
    .option('--model <names...>', 'models: predictions and artifacts of all their versions')
    .option('--path <paths...>', "URL paths at CloudFront, '*' allowed at the end")
    .option('--wait', 'return when every live task and CloudFront have applied it')
    .option('--settle <seconds>', 'invalidate CloudFront once more after this, for answers under way', wholeSeconds)
    .option('--timeout <seconds>', 'patience for regions and for CloudFront (default: 60)', wholeSeconds)
    .action(runInvalidate);

  withCommonOptions(program.command('plan-deploy'))
    .description('say how an environment is deployed: what to enable, to raise and to bootstrap, and in which order')
    .option('--regions <list>', "comma-separated regions, or 'all', instead of the environment's")
    .action(planDeploy);

  return program;
}

/** Reports a failure on standard error, and as the one JSON document where that was asked for. */
function report(message: string, exitCode: number, alreadyPrinted: boolean): void {
  if (!alreadyPrinted) process.stderr.write(`mlcdn: ${message}\n`);
  if (process.argv.includes('--json')) {
    const code = exitCode === WRONG_USAGE ? 'usage' : 'failed';
    process.stdout.write(`${JSON.stringify({ error: { code, message } }, null, 2)}\n`);
  }
  process.exitCode = exitCode;
}

async function main(): Promise<void> {
  try {
    await createProgram().parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode !== 0) report(error.message, WRONG_USAGE, true);
      return;
    }
    report(reasonOf(error), error instanceof UsageError ? WRONG_USAGE : FAILED, false);
  }
}

void main();
