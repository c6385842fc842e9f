import { z } from 'zod';
import { ServiceError } from '../aws-front/service-error';
import type { Alarm } from '../cloudwatch/cloudwatch-stand-in';
import { physicalId } from '../engine/physical-name';
import { Flag, parseProperties } from '../engine/properties';
import type { Resource, ResourceModule, Running } from '../engine/types';

const SWITCHES = { Inverted: Flag.default(false), Disabled: Flag.default(false) };

const HealthCheckConfig = z.discriminatedUnion('Type', [
  z.strictObject({
    Type: z.literal('CALCULATED'),
    ChildHealthChecks: z.array(z.string()).min(1).max(255),
    HealthThreshold: z.coerce.number().int().min(0),
    ...SWITCHES,
  }),
  z.strictObject({
    Type: z.literal('CLOUDWATCH_METRIC'),
    AlarmIdentifier: z.strictObject({ Name: z.string(), Region: z.string() }),
    InsufficientDataHealthStatus: z.enum(['Healthy', 'Unhealthy', 'LastKnownStatus']),
    ...SWITCHES,
  }),
  z.strictObject({
    Type: z.literal('HTTPS'),
    FullyQualifiedDomainName: z.string(),
    Port: z.coerce.number().int(),
    ResourcePath: z.string().startsWith('/'),
    RequestInterval: z.coerce.number().pipe(z.literal([10, 30])),
    FailureThreshold: z.coerce.number().int().min(1).max(10),
    EnableSNI: Flag.default(true),
    ...SWITCHES,
  }),
]);
type HealthCheckConfig = z.output<typeof HealthCheckConfig>;
type AlarmConfig = Extract<HealthCheckConfig, { Type: 'CLOUDWATCH_METRIC' }>;

interface HealthCheck {
  readonly id: string;
  config: HealthCheckConfig;
  /** Grows with every update. */
  version: number;
  /** What an endpoint's checker has found; healthy until it knows better. */
  endpointHealthy: boolean;
  /** What an alarm last said; healthy until it has said anything. */
  alarmHealthy: boolean;
}

/** Finds an alarm by region and name. */
export type FindAlarm = (region: string, name: string) => Alarm | undefined;

/** Statistics that Route 53 can read. Source: Route 53 developer guide, "Monitoring a CloudWatch alarm". */
const READABLE_STATISTICS = ['Average', 'Minimum', 'Maximum', 'Sum', 'SampleCount'];

/** What an operator may change of a check. */
export interface HealthCheckChange {
  readonly disabled?: boolean;
  readonly inverted?: boolean;
  /** Must be the check's current version when given. */
  readonly version?: number;
}

/**
 * Route 53's health checks. Calculated ones count their parts, endpoints are asked over HTTP at their interval, and alarms
 * are unhealthy while they fire. (Route 53 reads the alarm's metric itself and may be quicker than the alarm.) A disabled
 * check is healthy and an inverted one the opposite, in that order. Source: Route 53 API reference, `HealthCheckConfig`.
 */
export class HealthChecks {
  private readonly checks = new Map<string, HealthCheck>();

  /** @param endpointUrl base URL of what answers under a host name on this machine; `undefined` for an unknown name */
  constructor(
    private readonly endpointUrl: (hostname: string) => string | undefined,
    private readonly findAlarm: FindAlarm,
  ) {}

  readonly module: ResourceModule = {
    type: 'AWS::Route53::HealthCheck',
    start: async (resource) => this.start(resource),
  };

  /** @throws ServiceError NoSuchHealthCheck */
  get(id: string): Readonly<HealthCheck> {
    return this.required(id);
  }

  isHealthy(id: string): boolean {
    const check = this.required(id);
    const healthy = check.config.Disabled || this.verdict(check);
    return healthy !== check.config.Inverted;
  }

  /** @throws ServiceError NoSuchHealthCheck, HealthCheckVersionMismatch */
  update(id: string, { disabled, inverted, version }: HealthCheckChange): void {
    const check = this.required(id);
    if (version !== undefined && version !== check.version) {
      throw new ServiceError(
        'HealthCheckVersionMismatch',
        `the check has version ${check.version}, not ${version}`,
        409,
      );
    }
    check.config = {
      ...check.config,
      Disabled: disabled ?? check.config.Disabled,
      Inverted: inverted ?? check.config.Inverted,
    };
    check.version += 1;
  }

  private required(id: string): HealthCheck {
    const check = this.checks.get(id);
    if (!check) throw new ServiceError('NoSuchHealthCheck', `No health check exists with the ID ${id}`, 404);
    return check;
  }

  private verdict(check: HealthCheck): boolean {
    const { config } = check;
    switch (config.Type) {
      case 'CALCULATED':
        return config.ChildHealthChecks.filter((child) => this.isHealthy(child)).length >= config.HealthThreshold;
      case 'CLOUDWATCH_METRIC':
        return this.alarmVerdict(check, config);
      case 'HTTPS':
        return check.endpointHealthy;
    }
  }

  private alarmVerdict(check: HealthCheck, { AlarmIdentifier, InsufficientDataHealthStatus }: AlarmConfig): boolean {
    const state = this.findAlarm(AlarmIdentifier.Region, AlarmIdentifier.Name)?.state ?? 'INSUFFICIENT_DATA';
    if (state !== 'INSUFFICIENT_DATA') check.alarmHealthy = state === 'OK';
    else if (InsufficientDataHealthStatus !== 'LastKnownStatus') return InsufficientDataHealthStatus === 'Healthy';
    return check.alarmHealthy;
  }

  /** @throws Error for an alarm that does not exist, or that Route 53 does not follow */
  private requireReadable({ AlarmIdentifier: { Name, Region } }: AlarmConfig): void {
    const alarm = this.findAlarm(Region, Name);
    if (!alarm) throw new Error(`AlarmIdentifier: there is no alarm ${Name} in ${Region}`);
    const refuse = (why: string) => new Error(`AlarmIdentifier: Route 53 cannot follow alarm ${Name}: ${why}`);
    const { definition } = alarm;
    if (!definition) throw refuse('it is a composite alarm');
    const { single, rules } = definition;
    if (!single) throw refuse('it is on metric math');
    if (!READABLE_STATISTICS.includes(single.statistic)) {
      throw refuse(`its statistic is ${single.statistic}, and only ${READABLE_STATISTICS.join(', ')} are read`);
    }
    if (rules.datapointsToAlarm !== rules.evaluationPeriods) {
      throw refuse(
        `it fires at ${rules.datapointsToAlarm} of ${rules.evaluationPeriods} data points, where all must breach`,
      );
    }
  }

  private start(resource: Resource): Running {
    const { HealthCheckConfig: config } = parseProperties(resource, z.object({ HealthCheckConfig }), [
      'HealthCheckTags',
    ]);
    if (config.Type === 'CALCULATED') for (const child of config.ChildHealthChecks) this.get(child);
    if (config.Type === 'CLOUDWATCH_METRIC') this.requireReadable(config);
    const id = physicalId('hc', resource);
    const check: HealthCheck = { id, config, version: 1, endpointHealthy: true, alarmHealthy: true };
    this.checks.set(id, check);
    const stopChecking = config.Type === 'HTTPS' ? this.keepChecking(check, config) : undefined;
    return {
      ref: id,
      attributes: { HealthCheckId: id },
      stop: async () => {
        stopChecking?.();
        this.checks.delete(id);
      },
    };
  }

  private keepChecking(check: HealthCheck, config: Extract<HealthCheckConfig, { Type: 'HTTPS' }>): () => void {
    let differing = 0;
    const timer = setInterval(async () => {
      const passed = await this.probe(config);
      differing = passed === check.endpointHealthy ? 0 : differing + 1;
      if (differing < config.FailureThreshold) return;
      check.endpointHealthy = passed;
      differing = 0;
    }, config.RequestInterval * 1000);
    return () => clearInterval(timer);
  }

  /** Whether the endpoint answers 2xx or 3xx within Route 53's two seconds for a connected endpoint. */
  private async probe({
    FullyQualifiedDomainName,
    ResourcePath,
  }: {
    FullyQualifiedDomainName: string;
    ResourcePath: string;
  }) {
    const url = this.endpointUrl(FullyQualifiedDomainName);
    if (url === undefined) return false;
    try {
      const response = await fetch(`${url}${ResourcePath}`, { redirect: 'manual', signal: AbortSignal.timeout(2_000) });
      await response.arrayBuffer();
      return response.status >= 200 && response.status < 400;
    } catch {
      return false;
    }
  }
}
