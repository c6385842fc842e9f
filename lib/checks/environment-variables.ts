import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EdgeEnvironment, readConfig } from '../../containers/edge/config';
import { nearestNames } from '../config/nearest-names';
import type { Check, Finding } from './finding';
import { textAt } from './json';
import { type Program, programsOf } from './programs';

type Fault = Pick<Finding, 'problem' | 'right'>;

/** Longest that a function may take to load, ms. */
const LOAD_TIMEOUT_MS = 30_000;

/**
 * Variables of a task that a template may leave out, and why their default, or their absence, is right in AWS. Every other
 * one must be set: its default suits a developer's machine, and a task that lacks it starts all the same.
 */
const MAY_BE_LEFT_OUT: Readonly<Record<string, string>> = {
  SERVER_NAME: 'a name that no deployment has a reason to change',
  MODELS_DIR: 'the alternative to MODEL_BUCKET',
  REDIS_CLUSTER: 'the caches are not clusters',
  ORIGIN_URL: 'there need not be an HTTP origin',
  ROUTE_POLICIES: 'what RFC 9111 says is a policy too',
  MODEL_WORKERS: 'as many as the task has CPUs',
  MODEL_RUN_TIMEOUT_MS: 'longer than any load balancer waits',
  MODEL_VERSION_POLICY: 'the live version and the one before it',
  MODEL_CONTROL: 'the channels decide',
  TASK_ID: 'ECS tells it',
  ECS_AGENT_URI: 'ECS tells it',
  PROTECT_TRANSFERS_AFTER_SECONDS: 'well below the time that a task has to leave',
  CLOUDWATCH_DEPLOYMENT: 'set on the task that tries a version, which reports apart from the others',
};

/** Every program starts with the code and the variables that its template gives it, and reads each of them. */
export const environmentVariables: Check = {
  name: 'environment-variables',
  run: (assembly) =>
    programsOf(assembly).flatMap((program) =>
      (program.kind === 'task' ? taskFaults(program) : functionFaults(program)).map((fault) => ({
        stack: program.stack.name,
        resource: program.resource.logicalId,
        ...fault,
      })),
    ),
};

function taskFaults({ environment }: Program): Fault[] {
  const known = Object.keys(EdgeEnvironment.shape);
  const unread = Object.keys(environment).filter((name) => !known.includes(name));
  const unset = known.filter((name) => environment[name] === undefined && !Object.hasOwn(MAY_BE_LEFT_OUT, name));
  return [
    ...unread.map((name) => unreadFault(name, known)),
    ...unset.map((name) => ({
      problem: `leaves ${name} to a default that is made for a developer's machine`,
      right: `${name} in the task definition, or a reason in MAY_BE_LEFT_OUT of lib/checks/environment-variables.ts`,
    })),
    ...attempt(() => readConfig(environment)),
  ];
}

function attempt(read: () => unknown): Fault[] {
  try {
    read();
    return [];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [{ problem: `does not start: ${reason}`, right: 'the variables that its code asks for' }];
  }
}

function unreadFault(name: string, known: readonly string[]): Fault {
  const [nearest] = nearestNames(name, known);
  return { problem: `sets ${name}, which its code does not read`, right: nearest ? `${nearest}?` : known.join(', ') };
}

type Variables = Readonly<Record<string, string>>;

/** What a process that loaded the function says of it. */
interface Loaded {
  readonly error?: string;
  readonly hasHandler: boolean;
  readonly read: readonly string[];
}

const loaded = new Map<string, Loaded>();

/** Loads the function as Lambda would, in a process of its own that sees no other variables, and notes which it reads. */
function functionFaults({ directory, environment, resource, stack }: Program): Fault[] {
  const [file = '', exported = ''] = textAt(resource.properties, 'Handler').split('.');
  const variables = { ...environment, AWS_REGION: stack.region };
  const key = JSON.stringify([directory, file, exported, variables]);
  const result = loaded.get(key) ?? loadAlone(directory, `${file}.js`, exported, variables);
  loaded.set(key, result);
  if (result.error !== undefined) {
    return [
      {
        problem: `does not load: ${result.error}`,
        right: 'the variables that its code asks for, and everything it imports in the bundle',
      },
    ];
  }
  return [
    ...(result.hasHandler ? [] : [{ problem: `exports no ${exported}`, right: 'Handler: <file>.<exported function>' }]),
    ...Object.keys(environment)
      .filter((name) => !result.read.includes(name))
      .map((name) =>
        unreadFault(
          name,
          result.read.filter((other) => /^[A-Z][A-Z_]+$/.test(other)),
        ),
      ),
  ];
}

/** Loads a copy: where the assembly lies, `node_modules` of the project would stand in for what is not bundled. */
function loadAlone(directory: string, file: string, exported: string, variables: Variables): Loaded {
  const copy = mkdtempSync(join(tmpdir(), 'check-infra-'));
  try {
    cpSync(directory, copy, { recursive: true, dereference: true });
    return load(join(copy, file), exported, variables);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

const LOADER = `
  const [file, exported, variables] = process.argv.slice(1);
  const read = new Set();
  process.env = new Proxy(JSON.parse(variables), {
    get: (target, name) => (read.add(String(name)), target[name]),
    has: (target, name) => (read.add(String(name)), name in target),
  });
  const say = (result) => (process.stdout.write('\\n' + JSON.stringify({ ...result, read: [...read] })), process.exit(0));
  try {
    say({ hasHandler: typeof require(file)[exported] === 'function' });
  } catch (error) {
    say({ hasHandler: false, error: String(error && error.message) });
  }
`;

function load(file: string, exported: string, variables: Variables): Loaded {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['-e', LOADER, '--', file, exported, JSON.stringify(variables)],
    { encoding: 'utf8', timeout: LOAD_TIMEOUT_MS, env: {} },
  );
  if (status !== 0) return { hasHandler: false, read: [], error: `${stderr.slice(-300)} (exit status ${status})` };
  return JSON.parse(stdout.split('\n').at(-1) ?? '') as Loaded;
}
