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
}

/** An ECS service: keeps the desired number of tasks running and registered with the load balancer. */
export class Service {
  readonly tasks = new Set<Task>();
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

  /** Changes the desired number of tasks. */
  scale(desiredCount: number): void {
    this.desired = desiredCount;
    const active = [...this.tasks].filter(({ status }) => status === 'PENDING' || status === 'RUNNING');
    for (let count = active.length; count < desiredCount; count += 1) void this.launch();
    for (const task of active.slice(desiredCount)) void this.retire(task, 'Scaling activity initiated by deployment');
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

  private wordsOfTasks(): string {
    return [...this.tasks].map((task) => task.lastWords()).join(' | ');
  }

  private get isSteady(): boolean {
    const running = [...this.tasks].filter(({ status }) => status === 'RUNNING');
    const healthy = running.filter((task) =>
      this.options.targetGroups.every((group) => group.stateOf('127.0.0.1', task.hostPort) === 'healthy'),
    );
    return healthy.length >= this.desired;
  }

  private async launch(): Promise<void> {
    const { blueprint, taskArn, metadataUri, securityGroups, targetGroups } = this.options;
    const task = new Task(blueprint, { arn: taskArn, metadataUri, securityGroups }, this.platform);
    this.tasks.add(task);
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
    if (!this.closing) this.scale(this.desired);
  }

  private healthChanged({ port, state }: Target): void {
    const task = [...this.tasks].find(({ hostPort }) => hostPort === port);
    if (!task) return;
    if (state === 'healthy') this.failuresInARow = 0;
    const inGrace = Date.now() - task.createdAt.getTime() < this.options.gracePeriodMs;
    if (state === 'unhealthy' && task.status === 'RUNNING' && !inGrace) {
      void this.retire(task, 'Task failed ELB health checks');
      this.scale(this.desired);
    }
    this.onChange();
  }
}
