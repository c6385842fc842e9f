import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { CHECKS, checkAssembly, type NamedFinding } from '../lib/checks';
import { readCheckedAssembly } from '../lib/checks/assembly';
import { ENVIRONMENT_NAMES } from '../lib/config';

/** Longest that synthesizing one environment may take, ms. */
const SYNTH_TIMEOUT_MS = 300_000;

const USAGE = `usage: npm run check:infra [-- --env NAME].. [--reuse]

Checks the templates of ${ENVIRONMENT_NAMES.join(', ')}, or of those named by --env, for what would fail only once deployed.
--reuse takes what "cdk synth -o .build/synth/NAME" left, instead of synthesizing anew.
Exit status: 0 nothing found, 1 findings or no templates, 2 wrong usage.`;

interface Options {
  readonly environments: readonly string[];
  readonly reuse: boolean;
}

function options(): Options {
  try {
    const { values } = parseArgs({
      options: { env: { type: 'string', multiple: true }, reuse: { type: 'boolean', default: false } },
    });
    const environments = values.env ?? ENVIRONMENT_NAMES;
    const unknown = environments.find((name) => !ENVIRONMENT_NAMES.includes(name));
    if (unknown !== undefined) throw new Error(`--env ${unknown} must be one of ${ENVIRONMENT_NAMES.join(', ')}`);
    return { environments, reuse: values.reuse };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

/** Without the validators, which are a step of their own. @throws with what the app printed. */
function synthesize(environment: string, directory: string): void {
  const { status, stderr } = spawnSync(
    'npx',
    ['--no-install', 'cdk', 'synth', '--quiet', '-c', `env=${environment}`, '-o', directory],
    {
      encoding: 'utf8',
      timeout: SYNTH_TIMEOUT_MS,
      env: { ...process.env, CDK_VALIDATION: 'false', MLCDN_NAG: 'off' },
    },
  );
  if (status !== 0) throw new Error(`environment ${environment} cannot be synthesized:\n${stderr}`);
}

function table(findings: readonly NamedFinding[]): string {
  const rows = new Table({
    head: ['check', 'stack', 'resource', 'what is wrong', 'what would be right'],
    colWidths: [18, 24, 24, 60, 44],
    wordWrap: true,
    // Names have no blanks to break at.
    wrapOnWordBoundary: false,
    style: { head: [], border: [] },
  });
  for (const { check, stack, resource, problem, right } of findings)
    rows.push([check, stack, resource, problem, right]);
  return rows.toString();
}

async function main(): Promise<void> {
  const { environments, reuse } = options();
  process.exitCode = 0;
  for (const environment of environments) {
    const directory = join('.build', 'synth', environment);
    if (!reuse) synthesize(environment, directory);
    const assembly = readCheckedAssembly(directory);
    const findings = await checkAssembly(assembly);
    const resources = assembly.stacks.reduce((sum, stack) => sum + stack.resources.length, 0);
    const scope = `${CHECKS.length} checks over ${resources} resources in ${assembly.stacks.length} stacks`;
    console.log(`${environment}: ${findings.length || 'no'} ${findings.length > 1 ? 'findings' : 'finding'}, ${scope}`);
    if (findings.length > 0) {
      console.log(table(findings));
      process.exitCode = 1;
    }
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
});
