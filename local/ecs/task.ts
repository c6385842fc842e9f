import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { takeEmbeddedMetrics } from '../cloudwatch/embedded-metrics';
import type { NetworkInterface } from '../ec2/security-groups';
import { freePort } from '../engine/free-port';
import type { Platform } from '../engine/platform';
import type { Exit, ManagedProcess } from '../engine/processes';
import type { CredentialVariables, Question } from '../iam/iam-stand-in';
import { containerEnvironment } from './container-environment';
import { localCommand } from './dockerfile';
import { ECS_TASKS } from './execution-role';
import type { TaskBlueprint } from './task-blueprint';
import { ScaleInProtection } from './task-protection';

export type TaskStatus = 'PENDING' | 'RUNNING' | 'DEACTIVATING' | 'STOPPING' | 'STOPPED';

/**
 * A container must have run this long to be restarted in place; one that ends sooner ends its task. AWS's period is at
 * least 60 s; it is short here so that a restart can be watched.
 */
const RESTART_ATTEMPT_PERIOD_MS = 1_000;

interface TaskEvents {
  stopped: [];
  /** It may be taken away again. */
  unprotected: [];
}

/** How a service places its tasks and names them. */
export interface TaskPlacement {
  readonly arn: (id: string) => string;
  readonly metadataUri: (id: string) => string;
  readonly agentUri: (id: string) => string;
  /** Ids. */
  readonly securityGroups: readonly string[];
}

/** One running copy of a task definition: a child process with its own port and its own volumes. */
export class Task extends EventEmitter<TaskEvents> {
  readonly id = randomBytes(16).toString('hex');
  readonly createdAt = new Date();
  status: TaskStatus = 'PENDING';
  stoppedReason = '';
  restartCount = 0;
  hostPort = 0;
  readonly network: NetworkInterface;
  readonly protection = new ScaleInProtection(() => this.emit('unprotected'));
  private credentials: CredentialVariables | undefined;
  /** The container's environment with gates in place of the VPC's endpoints. */
  private seen: Awaited<ReturnType<Platform['privateEndpoints']['seenBy']>> | undefined;
  private process: ManagedProcess | undefined;
  private readonly volumeDirectory: string;
  private readonly logFile: string;

  constructor(
    readonly blueprint: TaskBlueprint,
    private readonly placement: TaskPlacement,
    private readonly platform: Platform,
  ) {
    super();
    const { family, region } = blueprint;
    this.network = { name: `task ${family} ${this.id.slice(0, 8)}`, region, groups: placement.securityGroups };
    this.volumeDirectory = join(platform.stateDirectory, 'tasks', this.id);
    this.logFile = platform.logFile(`${blueprint.family}-${blueprint.region}-${this.id.slice(0, 8)}`);
  }

  arn(id: string): string {
    return this.placement.arn(id);
  }

  /** Process id of the container, `undefined` while it does not run. */
  get pid(): number | undefined {
    return this.process?.pid;
  }

  /** Why the task's role may not do this, as AWS says it; `undefined` when it may. */
  refusal(question: Question): string | undefined {
    const { iam } = this.platform;
    const caller = this.credentials && iam.callerOf(this.credentials.AWS_ACCESS_KEY_ID);
    if (!caller) return 'Invalid Request: no task IAM role credentials available for task';
    return iam.refusal(caller.principal, question);
  }

  /** Starts the container; resolves when the process runs, not when it is healthy. */
  async start(): Promise<void> {
    for (const { volume } of this.blueprint.container.mounts) {
      mkdirSync(join(this.volumeDirectory, volume), { recursive: true });
    }
    const { container, taskRoleArn } = this.blueprint;
    const { iam, privateEndpoints } = this.platform;
    this.hostPort = await freePort();
    this.seen = await privateEndpoints.seenBy(this.network, this.network.name, container.environment);
    this.credentials = taskRoleArn ? iam.assumeRole(taskRoleArn, ECS_TASKS, this.id, this.network) : undefined;
    if (this.isStopping) this.finish();
    else void this.keepRunning();
  }

  /** SIGTERM, then SIGKILL after the task definition's stop timeout or `graceMs`; resolves when nothing of the task is left. */
  async stop(reason: string, graceMs = this.blueprint.container.stopTimeoutMs): Promise<void> {
    if (this.status === 'STOPPED') return;
    const stopped = once(this, 'stopped');
    if (!this.isStopping) {
      this.status = 'STOPPING';
      this.stoppedReason = reason;
      await this.process?.stop(graceMs);
    }
    await stopped;
  }

  /** The end of the container's log, for error messages. */
  lastWords(): string {
    try {
      return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-3).join(' | ');
    } catch {
      return `no output in ${this.logFile}`;
    }
  }

  private get isStopping(): boolean {
    return this.status === 'STOPPING';
  }

  private async keepRunning(): Promise<void> {
    this.status = 'RUNNING';
    for (;;) {
      const startedAt = performance.now();
      const exit = await this.runOnce();
      if (this.isStopping) break;
      const ranMs = performance.now() - startedAt;
      if (!this.mayRestart(exit, ranMs)) {
        this.stoppedReason = `Essential container in task exited (${describe(exit)}): ${this.lastWords()}`;
        break;
      }
      this.restartCount += 1;
      this.platform.log(`${this.blueprint.family} ${this.id.slice(0, 8)}: ${describe(exit)}, restarted in place`);
    }
    this.finish();
  }

  private finish(): void {
    this.status = 'STOPPED';
    this.protection.drop();
    if (this.credentials) this.platform.iam.revoke(this.credentials);
    void this.seen?.close();
    rmSync(this.volumeDirectory, { recursive: true, force: true });
    this.emit('stopped');
  }

  private async runOnce(): Promise<Exit> {
    const { container, region } = this.blueprint;
    const { entrypoint, command, workingDirectory } = container.start;
    const [program = '', ...args] = localCommand([...entrypoint, ...command], workingDirectory, container.directory);
    const place = {
      hostPort: this.hostPort,
      volumeDirectory: this.volumeDirectory,
      metadataUri: this.placement.metadataUri(this.id),
      agentUri: this.placement.agentUri(this.id),
    };
    const machine = this.platform.childEnvironment(region, this.credentials);
    const environment = this.seen?.environment ?? container.environment;
    this.process = this.platform.processes.start({
      command: program,
      args,
      cwd: container.directory,
      env: containerEnvironment({ ...container, environment }, place, machine),
      logFile: this.logFile,
      onLine: this.blueprint.logGroup === undefined ? undefined : (line) => this.deliver(line),
    });
    const exit = await this.process.exited;
    this.process = undefined;
    return exit;
  }

  /** What CloudWatch Logs does with a line that the log driver has shipped. */
  private deliver(line: string): void {
    const { metrics, log } = this.platform;
    const wrong = takeEmbeddedMetrics(metrics, this.blueprint.region, line);
    if (wrong) log(`${this.blueprint.family} ${this.id.slice(0, 8)}: a line with metrics is not one: ${wrong}`);
  }

  private mayRestart(exit: Exit, ranMs: number): boolean {
    const { enabled, ignoredExitCodes } = this.blueprint.container.restart;
    const ignored = exit.code !== null && ignoredExitCodes.includes(exit.code);
    return enabled && !exit.error && !ignored && ranMs >= RESTART_ATTEMPT_PERIOD_MS;
  }
}

/** Pause before the `attempt`-th replacement of a task that ended too soon, so that a broken image does not spin. */
export async function replacementPause(attempt: number): Promise<void> {
  await delay(Math.min(5_000, 250 * 2 ** attempt), undefined, { ref: false });
}

function describe({ code, signal, error }: Exit): string {
  if (error) return error.message;
  return signal ? `signal ${signal}` : `exit code ${code}`;
}
