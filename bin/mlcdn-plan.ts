import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPlannedStacks } from '../lib/control/deploy-assembly';
import { type DeployPlan, planDeployment } from '../lib/control/deploy-plan';
import { ControlError } from '../lib/control/errors';
import { table } from './mlcdn-tables';

const PROJECT_ROOT = join(__dirname, '..');

export interface PlanRequest {
  readonly environment: string;
  /** Comma-separated regions or `all`, instead of the environment's. */
  readonly regions?: string | undefined;
}

/** Synthesizes an environment and says how it is deployed. Needs no credentials. @throws what the app says is wrong. */
export function planEnvironment(request: PlanRequest): DeployPlan {
  const directory = mkdtempSync(join(tmpdir(), 'mlcdn-plan-'));
  try {
    synthesize(directory, request);
    return planDeployment(readPlannedStacks(directory));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function synthesize(directory: string, { environment, regions }: PlanRequest): void {
  const { context } = JSON.parse(readFileSync(join(PROJECT_ROOT, 'cdk.json'), 'utf8')) as { context: object };
  const app = spawnSync(process.execPath, ['--require', 'tsx/cjs', join(PROJECT_ROOT, 'bin', 'mlcdn-app.ts')], {
    cwd: PROJECT_ROOT,
    encoding: 'utf8',
    env: {
      ...process.env,
      CDK_OUTDIR: directory,
      CDK_CONTEXT_JSON: JSON.stringify({ ...context, env: environment, ...(regions === undefined ? {} : { regions }) }),
      // The order does not depend on it, and `cdk deploy` validates again.
      CDK_VALIDATION: 'false',
    },
  });
  if (app.status !== 0) throw new ControlError((app.stderr || app.error?.message || 'the app failed').trim());
}

/** Text of a plan for people: what to do, in order, as commands. */
export function planText({ environment, regions }: PlanRequest): (plan: DeployPlan) => string {
  const context = `-c env=${environment}${regions === undefined ? '' : ` -c regions=${regions}`}`;
  return ({ account, optInRegions, bootstrapRegions, quotas, waves }) => {
    const steps = [
      ...optInRegions.map((region) => `aws account enable-region --region-name ${region}`),
      ...quotas.map(
        ({ region, service, code, needed }) =>
          `aws service-quotas request-service-quota-increase --region ${region} --service-code ${service} --quota-code ${code} --desired-value ${needed}`,
      ),
      `npx cdk bootstrap ${context} ${bootstrapRegions.map((region) => `aws://${account}/${region}`).join(' ')}`,
    ];
    const rows = waves.flatMap((wave, index) => wave.map(({ path, region }) => [String(index + 1), path, region]));
    return [
      `${rows.length} stacks in ${waves.length} waves, ${bootstrapRegions.length} regions of account ${account}`,
      quotas.length === 0
        ? 'no quota of a new account is too small'
        : table(
            ['region', 'quota', 'default', 'needed'],
            quotas.map((raise) => [raise.region, raise.quota, String(raise.default), String(raise.needed)]),
          ),
      `Before the first deployment:\n${steps.map((step) => `  ${step}`).join('\n')}`,
      table(['wave', 'stack', 'region'], rows),
      `cdk deploy keeps this order and runs a wave at once:\n  npx cdk deploy ${context} --concurrency 10 '${environment}/*'`,
    ].join('\n\n');
  };
}
