import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ServiceError } from '../aws-front/service-error';
import type { InvocationResult } from '../lambda/lambda-function';
import type { StoredSecret } from './stored-secret';

/** Steps of a rotation in their order. Source: Secrets Manager user guide, "Lambda rotation functions". */
const STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;
type Step = (typeof STEPS)[number];

/** Pauses before a failed rotation is tried again. AWS tries within hours; short here, to be watched. */
const RETRY_PAUSES_MS = [1_000, 2_000];

/** How often it is looked whether a rotation is due, ms: an interval of many days does not fit into a timer. */
const LOOK_EVERY_MS = 3_600_000;

const DAY_MS = 86_400_000;

/** The function of a rotation, as Lambda runs it. */
export interface RotationFunctions {
  find(arn: string, region: string): { invoke(event: string): Promise<InvocationResult> } | undefined;
}

interface Schedule {
  readonly functionArn: string;
  readonly everyDays: number;
  lastRotated: number | undefined;
  nextRotation: number;
  running: Promise<void> | undefined;
}

/** Rotations of secrets by functions: those that are asked for, and those whose day has come. */
export class Rotations {
  private readonly schedules = new Map<StoredSecret, Schedule>();
  private readonly closing = new AbortController();
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly functions: RotationFunctions,
    private readonly log: (line: string) => void,
    private readonly now: () => number = Date.now,
  ) {
    this.timer = setInterval(() => this.rotateDue(), LOOK_EVERY_MS);
    this.timer.unref();
  }

  /**
   * Sets up the rotation of a secret, and tries its function as Secrets Manager does where the first rotation is left to
   * the schedule: by the step `testSecret` on a version that is taken away again.
   * @throws when the function fails it
   */
  async schedule(secret: StoredSecret, functionArn: string, everyDays: number): Promise<void> {
    const nextRotation = this.now() + everyDays * DAY_MS;
    this.schedules.set(secret, { functionArn, everyDays, lastRotated: undefined, nextRotation, running: undefined });
    const token = randomUUID();
    secret.reserve(token);
    try {
      await this.step(secret, functionArn, token, 'testSecret');
    } finally {
      secret.move('AWSPENDING', undefined);
    }
  }

  unschedule(secret: StoredSecret): void {
    this.schedules.delete(secret);
  }

  /** What DescribeSecret says of the rotation; times are seconds since 1970. */
  describe(secret: StoredSecret): object {
    const schedule = this.schedules.get(secret);
    if (!schedule) return { RotationEnabled: false };
    const { functionArn, everyDays, lastRotated, nextRotation } = schedule;
    return {
      RotationEnabled: true,
      RotationLambdaARN: functionArn,
      RotationRules: { AutomaticallyAfterDays: everyDays },
      ...(lastRotated === undefined ? {} : { LastRotatedDate: lastRotated / 1000 }),
      NextRotationDate: nextRotation / 1000,
    };
  }

  /**
   * Starts a rotation. One that was left unfinished is tried again instead.
   * @throws ServiceError when there is none to run, or one is not complete
   */
  rotate(secret: StoredSecret, token: string): void {
    const schedule = this.schedules.get(secret);
    const { name } = secret.identity;
    if (!schedule) throw new ServiceError('InvalidRequestException', `${name} has no rotation configured`);
    const [pending] = secret.labelled('AWSPENDING') ?? [];
    const unfinished = pending !== undefined && pending !== secret.labelled('AWSCURRENT')?.[0];
    if (schedule.running === undefined || !unfinished) {
      if (!unfinished) secret.reserve(token);
      const run = this.run(secret, schedule, unfinished ? pending : token).finally(() => {
        if (schedule.running === run) schedule.running = undefined;
      });
      schedule.running = run;
    }
    if (unfinished && pending !== token) {
      throw new ServiceError(
        'InvalidRequestException',
        `A previous rotation of ${name} isn't complete. That rotation will be reattempted.`,
      );
    }
  }

  /** Resolves when no rotation runs. */
  async idle(): Promise<void> {
    await Promise.all([...this.schedules.values()].map(({ running }) => running));
  }

  /** Starts the rotations whose day has come. */
  rotateDue(): void {
    for (const [secret, { nextRotation, running }] of this.schedules) {
      if (running !== undefined || nextRotation > this.now()) continue;
      try {
        this.rotate(secret, randomUUID());
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        this.log(`${secret.identity.name}: ${error.message}`);
      }
    }
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    this.closing.abort();
    await this.idle();
  }

  private async run(secret: StoredSecret, schedule: Schedule, token: string): Promise<void> {
    const { name } = secret.identity;
    for (let attempt = 0; !this.closing.signal.aborted; attempt += 1) {
      try {
        for (const step of STEPS) await this.step(secret, schedule.functionArn, token, step);
        if (secret.labelled('AWSCURRENT')?.[0] !== token) throw new Error(`AWSCURRENT is not at version ${token}`);
        schedule.lastRotated = this.now();
        schedule.nextRotation = schedule.lastRotated + schedule.everyDays * DAY_MS;
        return;
      } catch (error) {
        this.log(`rotation of ${name} failed: ${error instanceof Error ? error.message : String(error)}`);
      }
      const pause = RETRY_PAUSES_MS[attempt];
      if (pause === undefined) return;
      await delay(pause, undefined, { signal: this.closing.signal }).catch(() => {});
    }
  }

  private async step(secret: StoredSecret, functionArn: string, token: string, step: Step): Promise<void> {
    const { primaryRegion, name } = secret.identity;
    const lambda = this.functions.find(functionArn, primaryRegion);
    if (!lambda) throw new Error(`${step} of ${name}: there is no function ${functionArn}`);
    const event = { SecretId: secret.arn(primaryRegion), ClientRequestToken: token, Step: step };
    const { functionError, payload } = await lambda.invoke(JSON.stringify(event));
    if (functionError) throw new Error(`${step} of ${name}: ${payload}`);
  }
}
