import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig, namingScope } from '../lib/config';
import { ORIGIN_KEY_HEADERS, ORIGIN_KEYS, originKeySecretName } from '../lib/core/origin-keys';
import { GLOBAL_OUTPUTS, GLOBAL_REGION, stackNames } from '../lib/core/resource-names';
import { cloudFormationApi } from './cloudformation/cloudformation-stand-in';
import { CloudFrontStandIn } from './cloudfront/cloudfront-stand-in';
import { cloudFrontModules } from './cloudfront/modules';
import { regionDistances } from './engine/distances';
import { startPlatform } from './engine/platform';
import { startRegionalServices } from './engine/regional-services';
import { type RunningAssembly, runAssembly } from './engine/run-assembly';
import { openGeo } from './geo/viewer-places';
import { s3Modules } from './s3/modules';
import { S3StandIn } from './s3/s3-stand-in';
import { STATE_DIR } from './state';

export interface LocalCdnOptions {
  readonly assemblyDir: string;
  readonly regions: readonly string[];
  /** Port of the CloudFront stand-in on 127.0.0.1. */
  readonly port: number;
  /** Longest wait for a service's first tasks to be healthy, ms; two minutes unless told. */
  readonly steadyStateTimeoutMs?: number;
  readonly log: (line: string) => void;
  readonly onProgress: (done: number, total: number) => void;
}

/** Everything that runs, and how it is reached. */
export interface RunningLocalCdn {
  readonly url: string;
  readonly account: string;
  readonly homeRegion: string;
  readonly cloudFront: CloudFrontStandIn;
  /** URL of a region's load balancer. */
  loadBalancerUrl(region: string): string;
  /** What CloudFront adds to requests for load balancers. */
  originHeaders(): Record<string, string>;
  awsEnvironment(region: string): Record<string, string>;
  /** Lets one period of every schedule pass now. @throws with what functions that failed said */
  fireSchedules(): Promise<void>;
  stop(): Promise<void>;
}

/** Runs steps of an undoing in reverse; the first failure is thrown when all have run. */
class Undo {
  private readonly steps: (() => Promise<void>)[] = [];

  add(step: () => Promise<void>): void {
    this.steps.push(step);
  }

  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.steps.splice(0).reverse()) await step().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }
}

/** Brings up the stand-ins, runs the assembly over them and opens the viewers' port. What failed half-way is undone. */
export async function startLocalCdn(options: LocalCdnOptions): Promise<RunningLocalCdn> {
  const undo = new Undo();
  try {
    return await compose(options, undo);
  } catch (error) {
    await undo.run().catch(() => undefined);
    throw error;
  }
}

async function compose(
  { assemblyDir, regions, port, log, onProgress, steadyStateTimeoutMs }: LocalCdnOptions,
  undo: Undo,
): Promise<RunningLocalCdn> {
  const config = loadConfig('local', { regions });
  const { homeRegion } = config;
  const platform = await startPlatform({
    stateDirectory: STATE_DIR,
    account: config.account,
    log,
    steadyStateTimeoutMs,
  });
  undo.add(() => platform.close());
  const regional = await startRegionalServices(platform, regionDistances);
  undo.add(() => regional.close());
  // Published models do not outlive a run: buckets start as empty as a new deployment's.
  rmSync(join(STATE_DIR, 's3'), { recursive: true, force: true });
  const s3 = new S3StandIn({ rootDir: join(STATE_DIR, 's3'), account: config.account, log });
  const geo = await openGeo({ homeRegion });
  const cloudFront = new CloudFrontStandIn({
    dns: regional.dns,
    distances: regionDistances,
    s3,
    geo,
    account: config.account,
    log,
    injectDelays: true,
  });
  undo.add(() => s3.close());
  undo.add(() => cloudFront.close());
  let assembly: RunningAssembly | undefined;
  for (const api of [...regional.apis, s3.api, ...cloudFront.apis, cloudFormationApi(() => assembly)])
    platform.front.serve(api);

  assembly = await runAssembly({
    assemblyDir,
    modules: [...regional.modules, ...s3Modules(s3, platform.iam), ...cloudFrontModules(cloudFront)],
    checks: regional.checks,
    secrets: (name, region) => regional.secrets.value(name, region),
    log,
    onProgress: ({ started, total }) => onProgress(started, total),
  });
  const running = assembly;
  undo.add(() => running.stop());
  const global = running.outputs(stackNames.global(namingScope(config)));
  const viewerServer = await cloudFront.listen({
    distributionId: String(global[GLOBAL_OUTPUTS.distributionId]),
    port,
    host: '127.0.0.1',
  });
  undo.add(() => viewerServer.close());

  return {
    url: `http://127.0.0.1:${port}`,
    account: config.account,
    homeRegion,
    cloudFront,
    loadBalancerUrl(region) {
      const origin = regional.dns.resolve(`origin.${config.domain.name}`, region);
      if (!origin) throw new Error(`no healthy region answers origin.${config.domain.name} as seen from ${region}`);
      return origin.url;
    },
    originHeaders() {
      const value = (name: string) => regional.secrets.value(name, GLOBAL_REGION) ?? '';
      const naming = namingScope(config);
      return Object.fromEntries(
        ORIGIN_KEYS.map((key) => [ORIGIN_KEY_HEADERS[key], value(originKeySecretName(naming, key))]),
      );
    },
    fireSchedules: () => regional.events.firePeriod(),
    awsEnvironment: (region) => platform.awsEnvironment(region),
    stop: () => undo.run(),
  };
}
