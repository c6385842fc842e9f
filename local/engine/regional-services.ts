import { CloudWatchStandIn } from '../cloudwatch/cloudwatch-stand-in';
import { FlowLogs } from '../ec2/flow-logs';
import { EcsStandIn } from '../ecs/ecs-stand-in';
import { ElastiCacheStandIn } from '../elasticache/elasticache-stand-in';
import { Certificates } from '../elb/certificates';
import { ElbStandIn } from '../elb/elb-stand-in';
import { EventsStandIn } from '../events/events-stand-in';
import { inertModules } from '../inert/inert-resources';
import { LambdaStandIn } from '../lambda/lambda-stand-in';
import { Route53StandIn } from '../route53/route53-stand-in';
import { SecretsStandIn } from '../secretsmanager/secrets-stand-in';
import { Queues } from '../sns/queues';
import { SnsStandIn } from '../sns/sns-stand-in';
import type { Distances, Dns } from './network';
import type { Platform } from './platform';
import type { AwsApi, ResourceModule } from './types';

/** The stand-ins of everything inside a region, and Route 53 over them. */
export interface RegionalServices {
  readonly modules: readonly ResourceModule[];
  /** For `platform.front.serve`. */
  readonly apis: readonly AwsApi[];
  /** For `runAssembly`. */
  readonly checks: readonly (() => readonly string[])[];
  readonly dns: Dns;
  readonly certificates: Certificates;
  readonly queues: Queues;
  readonly secrets: SecretsStandIn;
  readonly events: EventsStandIn;
  close(): Promise<void>;
}

/** Makes the stand-ins and connects them to each other. */
export async function startRegionalServices(platform: Platform, distances: Distances): Promise<RegionalServices> {
  const certificates = new Certificates();
  const queues = new Queues((line) => platform.log(line), platform.iam);
  const { metrics } = platform;
  const elb = new ElbStandIn(certificates, platform.securityGroups, metrics);
  const cloudWatch = new CloudWatchStandIn({
    metrics,
    log: (line) => platform.log(line),
    collect: (to) => elb.measureHosts(to - 1),
  });
  cloudWatch.watch();
  const ecs = await EcsStandIn.start(platform, elb);
  const elasticache = new ElastiCacheStandIn(platform);
  const lambda = new LambdaStandIn(platform, queues);
  const sns = new SnsStandIn(lambda, queues);
  const secrets = new SecretsStandIn(lambda, (line) => platform.log(line));
  const flowLogs = new FlowLogs(platform.iam);
  const route53 = new Route53StandIn(
    elb,
    distances,
    (region, name) => cloudWatch.find(region, name),
    platform.securityGroups,
  );
  const events = new EventsStandIn(lambda);
  const withModules = [
    certificates,
    secrets,
    queues,
    cloudWatch,
    elb,
    ecs,
    elasticache,
    lambda,
    sns,
    events,
    route53,
    flowLogs,
  ];
  return {
    modules: [
      ...[platform.iam, platform.securityGroups, ...withModules].flatMap(({ modules }) => modules),
      ...inertModules,
    ],
    apis: [ecs.api, elasticache.api, elb.api, lambda.api, secrets.api, sns.api, route53.api],
    checks: [sns, lambda, ecs, events, flowLogs].map((service) => () => service.findings()),
    events,
    dns: route53,
    certificates,
    queues,
    secrets,
    close: async () => {
      cloudWatch.close();
      await secrets.close();
      await ecs.close();
    },
  };
}
