import type { Target, TargetGroup } from '../elb/target-group';
import type { Platform } from '../engine/platform';
import { replacementPause, Task } from './task';
import type { TaskBlueprint } from './task-blueprint';

/** Tasks that may end before any becomes healthy until the deployment counts as failed, the least that ECS allows. */
const CIRCUIT_BREAKER_THRESHOLD = 3;

/** At the end of everything nobody waits for the template's stop timeout. */
const SHUTDOWN_GRACE_MS = 8_000;

export interface ServiceOptions {
  readonly name: string;
  readonly arn: string;
  readonly clusterArn: string;
  readonly blueprint: TaskBlueprint;
  /** Ids, of each task's network interface. */
  readonly securityGroups: readonly string[];
  readonly targetGroups: readonly TargetGroup[];
  /** Time after a task's start in which a failed load-balancer health check does not end it, ms. */
  readonly gracePeriodMs: number;
  readonly taskArn: (id: string) => string;
  readonly metadataUri: (id: string) => string;
  readonly agentUri: (id: string) => string;
}

/** An ECS service: keeps the desired number of tasks running and registered with the load balancer. */
export class Service {
  readonly tasks = new Set<Task>();
  /** Tasks that a deployment replaces. */
  private readonly outdated = new WeakSet<Task>();
  private desired = 0;
  private closing = false;
  private failuresInARow = 0;
  private lastWords = '';
  private onChange: () => void = () => {};
  private readonly onHealth = (target: Target) => this.healthChanged(target);

  constructor(
    readonly options: ServiceOptions,
    private readonly platform: Platform,
  ) {
    for (const group of options.targetGroups) group.on('health', this.onHealth);
  }

  get desiredCount(): number {
    return this.desired;
  }

  get runningCount(): number {
    return [...this.tasks].filter(({ status }) => status === 'RUNNING').length;
  }

  /**
   * Starts the first tasks and waits until all are healthy, as CloudFormation waits for a service to be steady.
   *
   * @throws with the last words of a task when tasks keep ending or do not become healthy in time.
   */
  async start(desiredCount: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${why}; last words: ${this.lastWords || this.wordsOfTasks()}`));
      const { steadyStateTimeoutMs } = this.platform;
      const limit = setTimeout(
        () => fail(`no steady state after ${steadyStateTimeoutMs / 1000} s`),
        steadyStateTimeoutMs,
      );
      this.onChange = () => {
        const broken = this.failuresInARow >= CIRCUIT_BREAKER_THRESHOLD;
        if (broken) fail(`${this.failuresInARow} tasks in a row ended before they were healthy`);
        if (!broken && !this.isSteady) return;
        clearTimeout(limit);
        this.onChange = () => {};
        if (!broken) resolve();
      };
      this.scale(desiredCount);
      this.onChange();
    }).catch(async (error: unknown) => {
      await this.close();
      throw error;
    });
  }

  /** Changes the desired number of tasks. Protected ones stay beyond it until their protection ends. */
  scale(desiredCount: number): void {
    this.desired = desiredCount;
    this.reconcile();
  }

  /** Replaces every task by a new one; the old ones go when the new ones are healthy and no protection holds them. */
  redeploy(): void {
    for (const task of this.active()) this.outdated.add(task);
    this.reconcile();
  }

  /** Takes a task out of the load balancer, lets it finish, ends it. A service that is too small then starts another. */
  async retire(task: Task, reason: string): Promise<void> {
    task.status = 'DEACTIVATING';
    await Promise.all(this.options.targetGroups.map((group) => group.deregister('127.0.0.1', task.hostPort)));
    await task.stop(reason);
  }

  /** Ends all tasks at once. */
  async close(): Promise<void> {
    this.closing = true;
    for (const group of this.options.targetGroups) group.off('health', this.onHealth);
    await Promise.all(
      [...this.tasks].map((task) => {
        for (const group of this.options.targetGroups) void group.deregister('127.0.0.1', task.hostPort);
        return task.stop('Service is being deleted', SHUTDOWN_GRACE_MS);
      }),
    );
  }

  /** Starts what is missing and takes away what is too much. */
  private reconcile(): void {
    if (this.closing) return;
    const active = this.active();
    const old = active.filter((task) => this.outdated.has(task));
    const current = active.filter((task) => !this.outdated.has(task));
    for (let count = current.length; count < this.desired; count += 1) void this.launch();
    // As with a minimum of 100 % healthy: an old task goes only where a new one has taken its place.
    const replaced = current.filter((task) => this.isHealthy(task)).length + old.length - this.desired;
    const free = (tasks: readonly Task[]) => tasks.filter(({ protection }) => !protection.isOn);
    const leaving = [
      ...free(old).slice(0, Math.max(0, replaced)),
      ...free(current.toReversed()).slice(0, Math.max(0, current.length - this.desired)),
    ];
    for (const task of leaving) void this.retire(task, 'Scaling activity initiated by deployment');
  }

  private active(): Task[] {
    return [...this.tasks].filter(({ status }) => status === 'PENDING' || status === 'RUNNING');
  }

  private isHealthy(task: Task): boolean {
    const { targetGroups } = this.options;
    return (
      task.status === 'RUNNING' &&
      targetGroups.every((group) => group.stateOf('127.0.0.1', task.hostPort) === 'healthy')
    );
  }

  private wordsOfTasks(): string {
    return [...this.tasks].map((task) => task.lastWords()).join(' | ');
  }

  private get isSteady(): boolean {
    return [...this.tasks].filter((task) => this.isHealthy(task)).length >= this.desired;
  }

  private async launch(): Promise<void> {
    const { blueprint, taskArn, metadataUri, agentUri, securityGroups, targetGroups } = this.options;
    const task = new Task(blueprint, { arn: taskArn, metadataUri, agentUri, securityGroups }, this.platform);
    this.tasks.add(task);
    task.on('unprotected', () => this.reconcile());
    task.once('stopped', () => void this.replace(task));
    await task.start();
    const place = { interface: task.network, port: blueprint.container.port };
    for (const group of targetGroups) group.register('127.0.0.1', task.hostPort, place);
    this.onChange();
  }

  private async replace(task: Task): Promise<void> {
    this.tasks.delete(task);
    for (const group of this.options.targetGroups) void group.deregister('127.0.0.1', task.hostPort);
    if (this.closing) return;
    this.platform.log(`${this.options.name} ${task.id.slice(0, 8)} stopped: ${task.stoppedReason}`);
    if (task.stoppedReason.startsWith('Essential container')) {
      this.failuresInARow += 1;
      this.lastWords = task.lastWords();
      this.onChange();
      await replacementPause(this.failuresInARow);
    }
    this.reconcile();
  }

  private healthChanged({ port, state }: Target): void {
    const task = [...this.tasks].find(({ hostPort }) => hostPort === port);
    if (!task) return;
    if (state === 'healthy') this.failuresInARow = 0;
    const inGrace = Date.now() - task.createdAt.getTime() < this.options.gracePeriodMs;
    if (state === 'unhealthy' && task.status === 'RUNNING' && !inGrace) {
      void this.retire(task, 'Task failed ELB health checks');
    }
    this.reconcile();
    this.onChange();
  }
}
