import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { NetworkInterface } from '../ec2/security-groups';
import type { Platform } from '../engine/platform';
import type { ManagedProcess } from '../engine/processes';
import type { CredentialVariables } from '../iam/iam-stand-in';

/** Pauses before the repeats of a failed asynchronous invocation. AWS waits 1 and 2 minutes; short here, to be watched. */
const ASYNC_RETRY_PAUSES_MS = [1_000, 2_000];

const STOP_GRACE_MS = 1_000;

export interface LambdaFunctionOptions {
  readonly name: string;
  readonly arn: string;
  readonly region: string;
  /** Directory with the function's code. */
  readonly directory: string;
  readonly handler: string;
  readonly timeoutMs: number;
  readonly memoryMegabytes: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly roleArn: string;
  /** Name of the CloudWatch log group that the output goes to in the cloud. */
  readonly logGroup: string;
  /** `undefined` outside every VPC. */
  readonly network: NetworkInterface | undefined;
}

/** What a function's processes have in common: their role's credentials, and the environment with their gates in it. */
interface Surroundings {
  readonly credentials: CredentialVariables;
  readonly environment: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** An invocation's outcome; with `functionError` the payload is Lambda's error document. */
export interface InvocationResult {
  readonly payload: string;
  readonly functionError: boolean;
}

/** What becomes of asynchronous events that kept failing. */
export interface AsyncPolicy {
  readonly retries: number;
  /** Queue that they go to. */
  readonly queueArn?: string;
  onFailure(event: string, result: InvocationResult): void;
}

const Reply = z.object({ payload: z.string(), functionError: z.boolean().default(false) });

/** A function: one child process, started at the first event, kept warm, answering one event at a time. */
export class LambdaFunction {
  private process: ManagedProcess | undefined;
  private surroundings: Promise<Surroundings> | undefined;
  private queue: Promise<unknown> = Promise.resolve();
  private readonly closing = new AbortController();
  private readonly pending = new Set<Promise<void>>();
  asyncPolicy: AsyncPolicy = { retries: 2, onFailure: () => {} };

  constructor(
    readonly options: LambdaFunctionOptions,
    private readonly platform: Platform,
  ) {}

  /** Invokes and waits (`RequestResponse`). Never rejects on the function's own errors. */
  invoke(event: string): Promise<InvocationResult> {
    const result = this.queue.then(() => this.runOnce(event));
    this.queue = result.catch(() => {});
    return result;
  }

  /** Accepts an event for later (`Event`): repeated on failure, then handed to the failure policy. */
  invokeLater(event: string): void {
    const done = this.runWithRetries(event).finally(() => this.pending.delete(done));
    this.pending.add(done);
  }

  /** Resolves when no asynchronous event is waiting or running. */
  async idle(): Promise<void> {
    while (this.pending.size > 0) await Promise.all(this.pending);
  }

  async close(): Promise<void> {
    this.closing.abort();
    await this.process?.stop(STOP_GRACE_MS);
    await this.idle();
    await (await this.surroundings)?.close();
  }

  private async runWithRetries(event: string): Promise<void> {
    for (let attempt = 0; !this.closing.signal.aborted; attempt += 1) {
      const result = await this.invoke(event);
      if (!result.functionError || this.closing.signal.aborted) return;
      this.platform.log(`${this.options.name}: asynchronous event failed: ${result.payload}`);
      if (attempt >= this.asyncPolicy.retries) {
        this.asyncPolicy.onFailure(event, result);
        return;
      }
      const pause = ASYNC_RETRY_PAUSES_MS[attempt] ?? ASYNC_RETRY_PAUSES_MS.at(-1);
      await delay(pause, undefined, { signal: this.closing.signal }).catch(() => {});
    }
  }

  private async runOnce(event: string): Promise<InvocationResult> {
    const { timeoutMs } = this.options;
    const requestId = randomUUID();
    this.surroundings ??= this.surround();
    const environment = this.warmProcess(await this.surroundings);
    const { child } = environment;
    const replied = once(child, 'message').then(([message]: unknown[]) => Reply.parse(message));
    const deadline = Date.now() + timeoutMs;
    child.send({ event, deadline, context: this.context(requestId) }, () => {});

    const timeout = new AbortController();
    const timedOut = delay(timeoutMs, 'timed out' as const, { signal: timeout.signal });
    timedOut.catch(() => {});
    const outcome = await Promise.race([replied, environment.exited, timedOut]);
    timeout.abort();
    if (outcome === 'timed out') {
      await environment.stop(0);
      const seconds = (timeoutMs / 1000).toFixed(2);
      const errorMessage = `${new Date().toISOString()} ${requestId} Task timed out after ${seconds} seconds`;
      return failure('Sandbox.Timedout', errorMessage);
    }
    if ('payload' in outcome) return outcome;
    const why = outcome.error?.message ?? (outcome.signal ? `signal ${outcome.signal}` : `exit status ${outcome.code}`);
    return failure('Runtime.ExitError', `RequestId: ${requestId} Error: Runtime exited: ${why}`);
  }

  private async surround(): Promise<Surroundings> {
    const { name, environment, roleArn, network } = this.options;
    const { iam, privateEndpoints } = this.platform;
    const credentials = iam.assumeRole(roleArn, 'lambda.amazonaws.com', name, network);
    const seen = await privateEndpoints.seenBy(network, `function ${name}`, environment);
    return {
      credentials,
      environment: seen.environment,
      close: async () => {
        iam.revoke(credentials);
        await seen.close();
      },
    };
  }

  private warmProcess({ credentials, environment }: Surroundings): ManagedProcess {
    if (this.process) return this.process;
    const { name, region, directory, handler, memoryMegabytes } = this.options;
    const machine = this.platform.childEnvironment(region, credentials);
    const started = this.platform.processes.start({
      command: process.execPath,
      args: [resolve(__dirname, 'runtime.cjs'), directory, handler],
      cwd: directory,
      env: {
        ...machine,
        ...environment,
        NODE_OPTIONS: [machine.NODE_OPTIONS, environment.NODE_OPTIONS].filter((o) => o !== undefined).join(' '),
        TZ: ':UTC',
        AWS_LAMBDA_FUNCTION_NAME: name,
        AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMegabytes),
        LAMBDA_TASK_ROOT: directory,
        _HANDLER: handler,
      },
      logFile: this.platform.logFile(`lambda-${name}-${region}`),
      ipc: true,
    });
    this.process = started;
    void started.exited.then(() => {
      if (this.process === started) this.process = undefined;
    });
    return started;
  }

  private context(requestId: string): object {
    const { name, arn, logGroup, memoryMegabytes } = this.options;
    return {
      awsRequestId: requestId,
      functionName: name,
      functionVersion: '$LATEST',
      invokedFunctionArn: arn,
      memoryLimitInMB: String(memoryMegabytes),
      logGroupName: logGroup,
      logStreamName: 'local',
      callbackWaitsForEmptyEventLoop: false,
    };
  }
}

function failure(errorType: string, errorMessage: string): InvocationResult {
  return { functionError: true, payload: JSON.stringify({ errorType, errorMessage }) };
}
