import { setTimeout as delay } from 'node:timers/promises';
import { checkAssembly } from '../../lib/checks';
import { readCheckedAssembly } from '../../lib/checks/assembly';
import { type RunningLocalCdn, startLocalCdn } from '../compose';
import { freePort } from '../engine/free-port';
import type { FirstModel } from '../first-model';
import { PROBES, probedPlane } from './probes';

/** Who noticed that something is gone, and what they said; `by` is `undefined` when nobody did. */
export interface Outcome {
  readonly by: string | undefined;
  readonly detail: string;
  readonly seconds: number;
}

export interface TrialOptions {
  readonly assemblyDir: string;
  readonly regions: readonly string[];
  readonly model: FirstModel;
}

/** Refusals of the stand-ins, none of which a sound assembly ever meets. */
const REFUSAL = /^(IAM denied|security groups dropped|dead letter) /;

/** A service that has no steady state after this long will not have one, ms. */
const STEADY_STATE_TIMEOUT_MS = 30_000;
const PROBE_TIMEOUT_MS = 45_000;

type OutcomeOf = (by: string | undefined, detail?: string) => Outcome;

/** Makes outcomes that tell the time since now. */
function stopwatch(): OutcomeOf {
  const startedAt = performance.now();
  return (by, detail = '') => ({
    by,
    detail: detail.replaceAll('\n', ' ').slice(0, 300),
    seconds: Math.round((performance.now() - startedAt) / 1000),
  });
}

/** What the checks of templates say of the assembly, without starting it. */
export async function checkOnly({ assemblyDir }: Pick<TrialOptions, 'assemblyDir'>): Promise<Outcome> {
  const outcome = stopwatch();
  try {
    const [finding] = await checkAssembly(readCheckedAssembly(assemblyDir));
    if (!finding) return outcome(undefined);
    return outcome(`check: ${finding.check}`, `${finding.resource} ${finding.problem}`);
  } catch (error) {
    return outcome('check: unreadable', messageOf(error));
  }
}

/** Checks the templates; where nothing is found, starts and probes the assembly. */
export async function tryAssembly(options: TrialOptions): Promise<Outcome> {
  const checked = await checkOnly(options);
  return checked.by === undefined ? startAndProbe(options) : checked;
}

/** Starts the assembly, runs every probe until one fails, and stops it. */
export async function startAndProbe({ assemblyDir, regions, model }: TrialOptions): Promise<Outcome> {
  const refusals: string[] = [];
  const outcome = stopwatch();
  let cdn: RunningLocalCdn | undefined;
  try {
    cdn = await startLocalCdn({
      assemblyDir,
      regions,
      port: await freePort(),
      steadyStateTimeoutMs: STEADY_STATE_TIMEOUT_MS,
      log: (line) => {
        if (REFUSAL.test(line)) refusals.push(line);
      },
      onProgress: () => undefined,
    });
    const failure = await firstFailure(cdn, regions, model, refusals);
    if (failure) return outcome(failure.by, failure.detail);
    return refusals.length > 0 ? refused(refusals, outcome) : outcome(undefined);
  } catch (error) {
    return refusals.length > 0 ? refused(refusals, outcome) : outcome('start', messageOf(error));
  } finally {
    await cdn?.stop().catch(() => undefined);
  }
}

/** The first probe that fails, or the first refusal met on the way. */
async function firstFailure(
  cdn: RunningLocalCdn,
  regions: readonly string[],
  model: FirstModel,
  refusals: readonly string[],
): Promise<{ by: string; detail: string } | undefined> {
  const probed = { cdn, regions, model };
  const plane = await probedPlane(probed);
  for (const { name, run } of PROBES) {
    try {
      await Promise.race([run(probed, plane), timeLimit(refusals)]);
    } catch (error) {
      const [refusal] = refusals;
      return refusal ? { by: 'enforcement', detail: refusal } : { by: `probe: ${name}`, detail: messageOf(error) };
    }
  }
  return undefined;
}

/** Rejects after the time of a probe, or soon after a refusal: what failed by it need not be waited for. */
async function timeLimit(refusals: readonly string[]): Promise<never> {
  const deadline = performance.now() + PROBE_TIMEOUT_MS;
  while (performance.now() < deadline && refusals.length === 0) await delay(100, undefined, { ref: false });
  throw new Error(refusals[0] ?? `not done after ${PROBE_TIMEOUT_MS / 1000} s`);
}

function refused(refusals: readonly string[], outcome: OutcomeOf): Outcome {
  return outcome('enforcement', refusals[0]);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
