import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { NetworkInterface, SecurityGroups } from '../ec2/security-groups';
import { type HealthCheck, isHealthy } from './health-check';

export type TargetState = 'initial' | 'healthy' | 'unhealthy' | 'draining';

/** One registered target and what is going on with it. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly state: TargetState;
}

/** Where a target is placed in the VPC, and the port that it has there. */
export interface TargetPlace {
  readonly interface: NetworkInterface;
  readonly port: number;
}

interface RegisteredTarget {
  readonly host: string;
  readonly port: number;
  readonly place: TargetPlace | undefined;
  state: TargetState;
  /** Consecutive check results equal to the last one. */
  streak: number;
  inFlight: number;
  readonly checking: AbortController;
  timer?: NodeJS.Timeout;
  drained?: () => void;
}

export interface TargetGroupOptions {
  readonly arn: string;
  readonly healthCheck: HealthCheck;
  /** Longest wait for requests under way when a target leaves, ms. */
  readonly deregistrationDelayMs: number;
  readonly securityGroups: SecurityGroups;
}

interface TargetGroupEvents {
  health: [target: Target];
}

/**
 * Targets of a load balancer with active health checks.
 *
 * Rules of Elastic Load Balancing: a new target is healthy after one passed check; later changes need as many
 * consecutive results as the thresholds say; when no target is healthy, requests go to the unhealthy ones (fail open).
 */
export class TargetGroup extends EventEmitter<TargetGroupEvents> {
  private readonly targets = new Map<string, RegisteredTarget>();
  private readonly balancers = new Set<NetworkInterface>();
  private turn = 0;

  constructor(private readonly options: TargetGroupOptions) {
    super();
  }

  get arn(): string {
    return this.options.arn;
  }

  /** As metrics carry it: `targetgroup/name/id`. */
  get fullName(): string {
    return this.arn.slice(this.arn.lastIndexOf(':') + 1);
  }

  /** Whether at least one target is healthy; what an alias record with `EvaluateTargetHealth` asks. */
  get hasHealthyTarget(): boolean {
    return [...this.targets.values()].some(({ state }) => state === 'healthy');
  }

  list(): readonly Target[] {
    return [...this.targets.values()].map(({ host, port, state }) => ({ host, port, state }));
  }

  stateOf(host: string, port: number): TargetState | undefined {
    return this.targets.get(`${host}:${port}`)?.state;
  }

  /** Says that a listener of this load balancer forwards here: it checks the targets. */
  attach(balancer: NetworkInterface): void {
    this.balancers.add(balancer);
  }

  /**
   * Adds a target and begins to check it at once.
   *
   * @param place whose security groups decide whether load balancers reach it; without it they do.
   */
  register(host: string, port: number, place?: TargetPlace): void {
    const key = `${host}:${port}`;
    if (this.targets.has(key)) throw new Error(`target ${key} is registered already`);
    const target: RegisteredTarget = {
      host,
      port,
      place,
      state: 'initial',
      streak: 0,
      inFlight: 0,
      checking: new AbortController(),
    };
    this.targets.set(key, target);
    void this.checkRepeatedly(target);
  }

  /** Takes a target out: no new requests; resolves when those under way have ended or the deregistration delay is over. */
  async deregister(host: string, port: number): Promise<void> {
    const key = `${host}:${port}`;
    const target = this.targets.get(key);
    if (!target) return;
    target.checking.abort();
    clearTimeout(target.timer);
    target.state = 'draining';
    if (target.inFlight > 0) {
      await new Promise<void>((resolve) => {
        const limit = setTimeout(resolve, this.options.deregistrationDelayMs);
        target.drained = () => {
          clearTimeout(limit);
          resolve();
        };
      });
    }
    this.targets.delete(key);
  }

  /** Chooses the next target in turn. `release` must be called once when the request has ended. */
  acquire(): { readonly host: string; readonly port: number; release(): void } | undefined {
    const inState = (state: TargetState) => [...this.targets.values()].filter((target) => target.state === state);
    const healthy = inState('healthy');
    const eligible = healthy.length > 0 ? healthy : inState('unhealthy');
    const target = eligible[this.turn++ % eligible.length];
    if (!target) return undefined;
    target.inFlight += 1;
    return {
      host: target.host,
      port: target.port,
      release: () => {
        target.inFlight -= 1;
        if (target.inFlight === 0) target.drained?.();
      },
    };
  }

  /** Ends all checks. */
  close(): void {
    for (const target of this.targets.values()) {
      target.checking.abort();
      clearTimeout(target.timer);
    }
    this.targets.clear();
  }

  private async checkRepeatedly(target: RegisteredTarget): Promise<void> {
    const { healthCheck } = this.options;
    const { signal } = target.checking;
    const passed = this.reaches(target)
      ? await isHealthy(`http://${target.host}:${target.port}`, healthCheck, signal)
      : await delay(healthCheck.timeoutMs, false, { signal }).catch(() => false);
    if (target.checking.signal.aborted) return;
    this.applyResult(target, passed);
    // A new target is asked often, so that it serves as soon as it can; afterwards at the template's interval.
    const pause = target.state === 'initial' ? Math.min(healthCheck.intervalMs, 250) : healthCheck.intervalMs;
    target.timer = setTimeout(() => void this.checkRepeatedly(target), pause);
    target.timer.unref();
  }

  private reaches({ place }: RegisteredTarget): boolean {
    if (!place) return true;
    const to = { kind: 'interface', interface: place.interface } as const;
    return [...this.balancers].every((balancer) =>
      this.options.securityGroups.permits({ kind: 'interface', interface: balancer }, to, place.port),
    );
  }

  private applyResult(target: RegisteredTarget, passed: boolean): void {
    const { healthyThreshold, unhealthyThreshold } = this.options.healthCheck;
    if (target.state === 'initial') {
      if (passed) this.change(target, 'healthy');
      return;
    }
    const agrees = passed === (target.state === 'healthy');
    target.streak = agrees ? 0 : target.streak + 1;
    if (!passed && target.streak >= unhealthyThreshold) this.change(target, 'unhealthy');
    if (passed && target.state === 'unhealthy' && target.streak >= healthyThreshold) this.change(target, 'healthy');
  }

  private change(target: RegisteredTarget, state: TargetState): void {
    target.state = state;
    target.streak = 0;
    this.emit('health', { host: target.host, port: target.port, state });
  }
}
