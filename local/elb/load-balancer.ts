import type { IncomingMessage, ServerResponse } from 'node:http';
import type { NetworkInterface } from '../ec2/security-groups';
import { type LocalServer, serveLocally } from '../engine/http-server';
import type { BalancerMetrics } from './balancer-metrics';
import { type ListenerAction, meets, type RuleConditions } from './listener-rules';
import { answerPlain, forward, targetAgent } from './reverse-proxy';
import type { TargetGroup } from './target-group';

export interface ListenerOptions {
  readonly arn: string;
  readonly balancer: NetworkInterface;
  readonly protocol: 'HTTP' | 'HTTPS';
  /** Port in the template; the listener itself has any free port of this machine. */
  readonly port: number;
  readonly certificateNames: readonly string[];
  readonly defaultAction: ListenerAction;
}

/** A rule of a listener. */
export interface Rule {
  readonly arn: string;
  readonly priority: number;
  readonly conditions: RuleConditions;
  readonly action: ListenerAction;
}

/** A listener of a load balancer: a reverse proxy on 127.0.0.1. */
export class Listener {
  private readonly agent = targetAgent();
  /** In the order in which they are tried. */
  private tried: readonly Rule[] = [];
  private server: LocalServer | undefined;

  constructor(
    readonly options: ListenerOptions,
    private readonly idleTimeoutMs: number,
    private readonly targetGroup: (arn: string) => TargetGroup,
    private readonly metrics: BalancerMetrics,
  ) {}

  get url(): string {
    if (!this.server) throw new Error('the listener is not open');
    return this.server.url;
  }

  get rules(): readonly Rule[] {
    return this.tried;
  }

  /** Every target group that this listener may forward to. */
  get targetGroups(): TargetGroup[] {
    const actions = [this.options.defaultAction, ...this.tried.map(({ action }) => action)];
    return actions.flatMap((action) => (action.kind === 'forward' ? [this.targetGroup(action.targetGroupArn)] : []));
  }

  async open(): Promise<void> {
    this.server = await serveLocally((request, response) => this.handle(request, response));
  }

  /** Adds a rule, or replaces the one of its ARN, for every request from now on. */
  putRule(rule: Rule): void {
    const others = this.tried.filter(({ arn }) => arn !== rule.arn);
    this.tried = [...others, rule].sort((a, b) => a.priority - b.priority);
  }

  async close(): Promise<void> {
    await this.server?.close();
    this.agent.destroy();
  }

  private handle(request: IncomingMessage, response: ServerResponse): void {
    const action = this.tried.find((rule) => meets(request, rule.conditions))?.action ?? this.options.defaultAction;
    if (action.kind === 'forward') {
      const group = this.targetGroup(action.targetGroupArn);
      forward(request, response, group, {
        measure: this.metrics.forwardTo(group),
        agent: this.agent,
        idleTimeoutMs: this.idleTimeoutMs,
        protocol: this.options.protocol === 'HTTPS' ? 'https' : 'http',
        listenerPort: this.options.port,
      });
    } else if (action.body === '') {
      answerPlain(response, action.status, '');
    } else {
      response.writeHead(action.status, { server: 'awselb/2.0', 'content-type': action.contentType });
      response.end(action.body);
    }
  }
}

/** A load balancer: a DNS name with listeners behind it. */
export class LoadBalancer {
  readonly listeners: Listener[] = [];

  constructor(
    readonly arn: string,
    readonly name: string,
    readonly dnsName: string,
    readonly network: NetworkInterface,
    /** Idle timeout of connections, ms. */
    readonly idleTimeoutMs: number,
    readonly metrics: BalancerMetrics,
  ) {}

  get region(): string {
    return this.network.region;
  }

  /** The listener a browser or CloudFront would reach over HTTPS, or the only one there is. */
  get mainListener(): Listener | undefined {
    return this.listeners.find(({ options }) => options.protocol === 'HTTPS') ?? this.listeners[0];
  }

  /** Every target group that a listener may forward to, once. */
  get targetGroups(): TargetGroup[] {
    return [...new Set(this.listeners.flatMap((listener) => listener.targetGroups))];
  }

  /** Route 53's view of an alias with target health: every target group has a healthy target, and there is one. */
  get isHealthy(): boolean {
    const groups = this.targetGroups;
    return groups.length > 0 && groups.every((group) => group.hasHealthyTarget);
  }
}
