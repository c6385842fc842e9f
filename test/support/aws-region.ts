import { ChannelDocument, channelKey } from '../../lib/core/channel';
import { ControlMessage } from '../../lib/core/control-message';
import { manifestKey } from '../../lib/core/model-name';
import { StatusRequest, type TaskModelVersion, type TaskReport } from '../../lib/core/task-report';

/** A live edge task as the control library sees it: by its reports. */
export interface FakeTask {
  readonly taskId: string;
  readonly models: Record<string, TaskModelVersion[]>;
  readonly channels: Record<string, number>;
  epoch: string;
  position: number;
  /** Questions for the status that pass before the task applies what is in the log. */
  lag: number;
  /** Why the task refuses every version it is asked to prepare. */
  refusal?: string;
}

/** One region: a control log, its tasks, and a status function. */
export class FakeRegion {
  readonly tasks: FakeTask[] = [];
  epoch = 'epoch-1';
  /** When set, the status function fails with it. */
  statusFailure: string | undefined;
  /** When set, the topic refuses messages with it. */
  topicFailure: string | undefined;
  cacheStatus = 'available';
  private log: ControlMessage[] = [];

  constructor(
    private readonly name: string,
    private readonly readObject: (key: string) => string | undefined,
  ) {
    this.addTask(`${name}-task`);
  }

  addTask(taskId: string, lag = 1): FakeTask {
    const task: FakeTask = { taskId, models: {}, channels: {}, epoch: this.epoch, position: 0, lag };
    this.tasks.push(task);
    return task;
  }

  /** Takes a message from the topic; answers its kind. */
  deliver(body: string): string {
    if (this.topicFailure) throw new Error(this.topicFailure);
    const message = ControlMessage.parse(JSON.parse(body));
    this.log.push(message);
    return message.kind;
  }

  /** The log is lost, as after FLUSHALL; tasks with an unbroken subscription go on in the new epoch. */
  loseLog(): void {
    for (const task of this.tasks) this.catchUp(task);
    this.epoch = `${this.epoch}+`;
    this.log = [];
    for (const task of this.tasks) Object.assign(task, { epoch: this.epoch, position: 0 });
  }

  answerStatus(payload: string): object {
    if (this.statusFailure) {
      return { FunctionError: 'Unhandled', Payload: Buffer.from(JSON.stringify({ errorMessage: this.statusFailure })) };
    }
    const { messageIds } = StatusRequest.parse(JSON.parse(payload));
    for (const task of this.tasks) {
      if (task.position < this.log.length && task.lag-- <= 0) this.catchUp(task);
    }
    const positions = messageIds.flatMap((id) => {
      const index = this.log.findIndex((message) => message.id === id);
      return index < 0 ? [] : [[id, index + 1] as const];
    });
    const status = {
      region: this.name,
      epoch: this.epoch,
      head: this.log.length,
      tasks: this.tasks.map((task) => this.report(task)),
      positions: Object.fromEntries(positions),
    };
    return { Payload: Buffer.from(JSON.stringify(status)) };
  }

  replicationGroups(): object {
    return {
      ReplicationGroups: [
        { Status: this.cacheStatus, Engine: 'valkey', CacheNodeType: 'cache.t4g.micro', MemberClusters: ['a', 'b'] },
      ],
    };
  }

  private report({ taskId, epoch, position, channels, models }: FakeTask): TaskReport {
    return { taskId, region: this.name, startedAt: '2026-11-22T00:00:00Z', epoch, position, channels, models };
  }

  private catchUp(task: FakeTask): void {
    for (const message of this.log.slice(task.position)) this.apply(task, message);
    task.position = this.log.length;
  }

  private apply(task: FakeTask, message: ControlMessage): void {
    if (message.kind === 'invalidate') return;
    const versions = task.models[message.model] ?? [];
    task.models[message.model] = versions;
    if (message.kind === 'prepare') {
      if (!this.readObject(manifestKey(message.model, message.version)))
        throw new Error('prepared before it was uploaded');
      const state: TaskModelVersion = task.refusal
        ? { version: message.version, state: 'refused', reason: task.refusal }
        : { version: message.version, state: 'ready' };
      versions.splice(0, versions.length, ...versions.filter((held) => held.version !== message.version), state);
      return;
    }
    const channel = ChannelDocument.parse(JSON.parse(this.readObject(channelKey(message.model)) ?? ''));
    for (const [index, held] of versions.entries()) {
      const state = held.version === channel.production ? 'active' : held.state === 'active' ? 'ready' : held.state;
      versions[index] = { ...held, state };
    }
    task.channels[message.model] = channel.revision;
  }
}
