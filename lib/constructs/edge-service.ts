import { Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import type { IAlarm } from 'aws-cdk-lib/aws-cloudwatch';
import {
  type Connections,
  type IConnectable,
  type IVpc,
  Peer,
  Port,
  SecurityGroup,
  SubnetType,
} from 'aws-cdk-lib/aws-ec2';
import type { DockerImageAsset } from 'aws-cdk-lib/aws-ecr-assets';
import {
  AlarmBehavior,
  Capability,
  type CapacityProviderStrategy,
  Cluster,
  type ContainerDefinition,
  ContainerImage,
  ContainerInsights,
  CpuArchitecture,
  FargateService,
  FargateTaskDefinition,
  type ICluster,
  LinuxParameters,
  LogDrivers,
  OperatingSystemFamily,
  PropagatedTagSource,
} from 'aws-cdk-lib/aws-ecs';
import { type IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import type { RegionConfig } from '../config';
import type { RoutePolicy } from '../core/cache-policy';
import { CHANNEL_PREFIX } from '../core/channel';
import { CANARY_DEPLOYMENT } from '../core/cloudwatch-metrics';
import { acknowledgeWildcards } from './acknowledge';
import { EDGE_STOP_TIMEOUT } from './edge-timeouts';

/** Port on which a task listens. */
export const EDGE_PORT = 8080;

const HTTPS_PORT = 443;

/** Where the disk tier lives: a volume of the task, which survives a restart of the container. */
const DISK_CACHE_DIRECTORY = '/var/cache/mlcdn';

/** Models are downloaded and checked here; the root file system is read-only. */
const SCRATCH_DIRECTORY = '/tmp';

/** The image's own user, node: said here too, so that no image runs as root. */
const UNPRIVILEGED_USER = '1000:1000';

const CANARY_ID = 'Canary';

export interface EdgeServiceProps {
  readonly vpc: IVpc;
  /** Name of the cluster and of the service in it. */
  readonly serviceName: string;
  /** Name of the service of one task that gets a new version first; absent: there is none. */
  readonly canaryName?: string | undefined;
  readonly image: DockerImageAsset;
  readonly sizes: RegionConfig['edge'];
  readonly region: string;
  /** The region's own model bucket. */
  readonly modelBucket: IBucket;
  /** Variables with which a task logs in to the region's Valkey. */
  readonly cacheEnvironment: Readonly<Record<string, string>>;
  readonly defaultModel: string;
  /** HTTP origin behind the paths that are neither predictions nor artifacts. */
  readonly originUrl?: string | undefined;
  /** How that origin's responses are cached. */
  readonly routePolicies: readonly RoutePolicy[];
  readonly channelPollSeconds: number;
  readonly logLevel: string;
  /** Name under which the tasks' metrics stand in CloudWatch. */
  readonly environment: string;
  readonly logRetentionDays: RetentionDays;
}

/**
 * One region's edge tasks: Fargate on ARM64, replaced without a gap, as many as the load asks for.
 *
 * Where there is a canary, it is a second service of one task in the same target group, which gets its share of all
 * requests. The others depend on it, so CloudFormation replaces them only when the canary's deployment has come through,
 * the watch over its alarms included; one that is taken back ends the stack's update before any of them has changed.
 */
export class EdgeService extends Construct implements IConnectable {
  /** The service that grows and shrinks. */
  readonly service: FargateService;
  readonly canary: FargateService | undefined;
  readonly connections: Connections;
  /** The role as which tasks call AWS. */
  readonly taskRole: IRole;

  constructor(scope: Construct, id: string, props: EdgeServiceProps) {
    super(scope, id);
    const logGroup = new LogGroup(this, 'Logs', {
      retention: props.logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const task = this.taskDefinition('Task', props, logGroup);
    grantModels(task, props.modelBucket);
    grantProtection(task, props.serviceName);
    this.taskRole = task.taskRole;

    const securityGroup = new SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: 'Edge tasks: the load balancer in; S3, Valkey, logs and the HTTP origin out',
      allowAllOutbound: false,
    });
    for (const port of portsOutside(props.originUrl)) {
      securityGroup.addEgressRule(Peer.anyIpv4(), Port.tcp(port), 'AWS and the HTTP origin');
    }
    const cluster = new Cluster(this, 'Cluster', {
      vpc: props.vpc,
      clusterName: props.serviceName,
      containerInsightsV2: ContainerInsights.ENABLED,
      enableFargateCapacityProviders: props.sizes.spotPercent > 0,
    });
    const service = (serviceId: string, serviceName: string, desiredCount: number, taskDefinition = task) =>
      new FargateService(this, serviceId, {
        serviceName,
        // The assertion is for exactOptionalPropertyTypes alone; see EdgeNetwork.
        cluster: cluster as ICluster,
        taskDefinition,
        desiredCount,
        minHealthyPercent: 100,
        maxHealthyPercent: 200,
        circuitBreaker: { rollback: true },
        ...capacity(serviceId === CANARY_ID ? 0 : props.sizes.spotPercent),
        healthCheckGracePeriod: Duration.seconds(60),
        vpcSubnets: { subnetType: SubnetType.PRIVATE_WITH_EGRESS },
        securityGroups: [securityGroup],
        propagateTags: PropagatedTagSource.SERVICE,
      });
    const { canaryName, sizes } = props;
    if (canaryName !== undefined) {
      const canaryTask = this.taskDefinition('CanaryTask', props, logGroup, task);
      this.canary = service(CANARY_ID, canaryName, 1, canaryTask);
    }
    this.service = service('Service', props.serviceName, sizes.desiredCount - this.canaryTasks);
    if (this.canary) this.service.node.addDependency(this.canary);
    this.connections = this.service.connections;
  }

  /** Number of the region's tasks that are the canary's. */
  get canaryTasks(): number {
    return this.canary ? 1 : 0;
  }

  /** All services, the canary first. */
  get services(): readonly FargateService[] {
    return this.canary ? [this.canary, this.service] : [this.service];
  }

  /**
   * Takes a deployment back during which one of these fires, also one that every task survives.
   * @param ofCanary alarms by which only the canary's is judged, beside the others
   */
  rollBackOn(alarms: readonly IAlarm[], ofCanary: readonly IAlarm[]): void {
    for (const service of this.services) {
      const judging = service === this.canary ? [...alarms, ...ofCanary] : alarms;
      service.enableDeploymentAlarms(
        judging.map((alarm) => alarm.alarmName),
        { behavior: AlarmBehavior.ROLLBACK_ON_ALARM },
      );
    }
  }

  /** @param canaryOf task definition whose roles the canary's tasks have too */
  private taskDefinition(
    id: string,
    props: EdgeServiceProps,
    logGroup: LogGroup,
    canaryOf?: FargateTaskDefinition,
  ): FargateTaskDefinition {
    const task = new FargateTaskDefinition(this, id, {
      cpu: props.sizes.cpu,
      memoryLimitMiB: props.sizes.memoryMiB,
      ephemeralStorageGiB: props.sizes.ephemeralStorageGiB,
      runtimePlatform: { cpuArchitecture: CpuArchitecture.ARM64, operatingSystemFamily: OperatingSystemFamily.LINUX },
      ...(canaryOf && { taskRole: canaryOf.taskRole, executionRole: canaryOf.obtainExecutionRole() }),
    });
    const container = task.addContainer('edge', {
      containerName: 'edge',
      image: ContainerImage.fromDockerImageAsset(props.image),
      environment: {
        ...containerEnvironment(props),
        ...(canaryOf && { CLOUDWATCH_DEPLOYMENT: CANARY_DEPLOYMENT }),
      },
      portMappings: [{ containerPort: EDGE_PORT }],
      logging: LogDrivers.awsLogs({ logGroup, streamPrefix: 'edge' }),
      readonlyRootFilesystem: true,
      user: UNPRIVILEGED_USER,
      linuxParameters: unprivileged(task),
      stopTimeout: EDGE_STOP_TIMEOUT,
      // A crashed process comes back in the same task, with its disk tier.
      enableRestartPolicy: true,
      restartAttemptPeriod: Duration.seconds(60),
    });
    mountVolume(task, container, 'disk-cache', DISK_CACHE_DIRECTORY);
    mountVolume(task, container, 'scratch', SCRATCH_DIRECTORY);
    Validations.of(task).acknowledge({
      id: 'AwsSolutions-ECS2',
      reason: "The variables name this region's resources and sizes; none is a secret.",
    });
    return task;
  }
}

/**
 * Spot tasks cost about a third and get two minutes' notice; the first task of a region is never one, so a region keeps an
 * answer when Spot has nothing to give.
 */
function capacity(spotPercent: number): { capacityProviderStrategies?: CapacityProviderStrategy[] } {
  if (spotPercent === 0) return {};
  return {
    capacityProviderStrategies: [
      { capacityProvider: 'FARGATE', base: 1, weight: 100 - spotPercent },
      { capacityProvider: 'FARGATE_SPOT', weight: spotPercent },
    ],
  };
}

/** No capability of the kernel, and a first process that reaps the workers' remains. */
function unprivileged(scope: Construct): LinuxParameters {
  const parameters = new LinuxParameters(scope, 'Unprivileged', { initProcessEnabled: true });
  parameters.dropCapabilities(Capability.ALL);
  return parameters;
}

/** The variables of the edge service's own configuration (`containers/edge/config.ts`). */
function containerEnvironment(props: EdgeServiceProps): Record<string, string> {
  return {
    PORT: String(EDGE_PORT),
    HOST: '0.0.0.0',
    REGION: props.region,
    MODEL_BUCKET: props.modelBucket.bucketName,
    ...props.cacheEnvironment,
    DISK_CACHE_DIR: DISK_CACHE_DIRECTORY,
    DISK_CACHE_MAX_BYTES: String(props.sizes.diskCacheBytes),
    MEMORY_CACHE_MAX_BYTES: String(props.sizes.memoryCacheBytes),
    DEFAULT_MODEL: props.defaultModel,
    CHANNEL_POLL_SECONDS: String(props.channelPollSeconds),
    LOG_LEVEL: props.logLevel,
    CLOUDWATCH_ENVIRONMENT: props.environment,
    ...(props.originUrl === undefined ? {} : { ORIGIN_URL: props.originUrl }),
    ...(props.routePolicies.length === 0 ? {} : { ROUTE_POLICIES: JSON.stringify(props.routePolicies) }),
  };
}

/** Ports of what a task calls outside its network: AWS, and the HTTP origin where that is not by HTTPS. */
function portsOutside(originUrl: string | undefined): number[] {
  const { protocol, port } = new URL(originUrl ?? 'https://localhost');
  const ofOrigin = port === '' ? ({ 'http:': 80 }[protocol] ?? HTTPS_PORT) : Number(port);
  return [...new Set([HTTPS_PORT, ofOrigin])];
}

/** The image declares both paths as volumes of its own user, for Fargate copies their ownership (see its Dockerfile). */
function mountVolume(task: FargateTaskDefinition, container: ContainerDefinition, name: string, path: string): void {
  task.addVolume({ name });
  container.addMountPoints({ sourceVolume: name, containerPath: path, readOnly: false });
}

/** Artifacts and channel documents, read only. ListBucket finds the channels, and makes a missing object 404 instead of 403. */
function grantModels(task: FargateTaskDefinition, bucket: IBucket): void {
  const objects = [bucket.arnForObjects('models/*'), bucket.arnForObjects(`${CHANNEL_PREFIX}*`)];
  task.addToTaskRolePolicy(new PolicyStatement({ actions: ['s3:GetObject'], resources: objects }));
  task.addToTaskRolePolicy(new PolicyStatement({ actions: ['s3:ListBucket'], resources: [bucket.bucketArn] }));
  acknowledgeWildcards(
    task,
    objects,
    'Versions and models are published after the deployment; the region serves all of them.',
  );
  acknowledgeWildcards(task, ['*'], 'ecr:GetAuthorizationToken, which pulls the image, knows no resources.');
}

/**
 * By the ECS agent, which calls ECS as the task's role, a task keeps itself from being taken away while it sends a large
 * body. The cluster is in the ARN, so a condition on `ecs:cluster` would say the same again; the task's own id is known to
 * no policy.
 */
function grantProtection(task: FargateTaskDefinition, clusterName: string): void {
  const ofCluster = Stack.of(task).formatArn({ service: 'ecs', resource: 'task', resourceName: `${clusterName}/*` });
  task.addToTaskRolePolicy(new PolicyStatement({ actions: ['ecs:UpdateTaskProtection'], resources: [ofCluster] }));
  acknowledgeWildcards(task, [ofCluster], 'Tasks get their ids when they start; the cluster has no others than these.');
}
