import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { AwsFront } from '../aws-front/aws-front';
import { MetricStore } from '../cloudwatch/metric-store';
import { PrivateEndpoints } from '../ec2/private-endpoints';
import { SecurityGroups } from '../ec2/security-groups';
import { type CredentialVariables, IamStandIn } from '../iam/iam-stand-in';
import { CertificateAuthority } from './certificate-authority';
import { Processes } from './processes';

/** What the stand-ins share: a place for state, processes, trust and the one AWS endpoint. */
export interface Platform {
  /** Directory of everything that is fresh at each start, absolute. */
  readonly stateDirectory: string;
  readonly account: string;
  readonly processes: Processes;
  readonly authority: CertificateAuthority;
  readonly front: AwsFront;
  readonly iam: IamStandIn;
  readonly securityGroups: SecurityGroups;
  readonly privateEndpoints: PrivateEndpoints;
  /** What CloudWatch knows. */
  readonly metrics: MetricStore;
  /** Longest wait for a service's first tasks to be healthy, ms. */
  readonly steadyStateTimeoutMs: number;
  log(line: string): void;
  /** Path of a log file below the state directory. */
  logFile(name: string): string;
  /**
   * Environment by which AWS SDKs of whoever operates the account reach the stand-ins and trust their certificates; what
   * `.mlcdn/local.json` offers to the operator CLI.
   */
  awsEnvironment(region: string): Record<string, string>;
  /**
   * Environment of a child that stands for a container or function: nothing of this process but the path to Node.
   *
   * @param credentials of the role that it runs as; without them it cannot call AWS.
   */
  childEnvironment(region: string, credentials: CredentialVariables | undefined): Record<string, string>;
  close(): Promise<void>;
}

export interface PlatformOptions {
  /** Emptied at start, except for log files. */
  readonly stateDirectory: string;
  readonly account: string;
  readonly log: (line: string) => void;
  /** Port of the AWS endpoint; any free one by default. */
  readonly endpointPort?: number;
  /** Two minutes by default, ms. */
  readonly steadyStateTimeoutMs?: number | undefined;
}

const STEADY_STATE_TIMEOUT_MS = 120_000;

/** Ends leftovers of an earlier run, empties the state directory and opens the AWS endpoint. */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { account, log } = options;
  const stateDirectory = resolve(options.stateDirectory);
  mkdirSync(stateDirectory, { recursive: true });
  const processes = new Processes(stateDirectory);
  for (const pid of await processes.endLeftovers()) log(`ended process ${pid} of an earlier run`);
  for (const stale of ['tls', 'tasks', 'elasticache', 'lambda', 'logs']) {
    rmSync(join(stateDirectory, stale), { recursive: true, force: true });
  }
  const authority = await CertificateAuthority.create(stateDirectory);
  const iam = new IamStandIn(account, log);
  const securityGroups = new SecurityGroups(log);
  const front = await AwsFront.start({ account, log, iam, securityGroups, port: options.endpointPort ?? 0 });
  const operator = iam.operator();

  const sdkEnvironment = (region: string) => ({
    AWS_ENDPOINT_URL: `http://localhost:${front.port}`,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_EC2_METADATA_DISABLED: 'true',
    NODE_EXTRA_CA_CERTS: authority.file,
  });
  return {
    stateDirectory,
    account,
    processes,
    authority,
    front,
    iam,
    securityGroups,
    privateEndpoints: new PrivateEndpoints(),
    metrics: new MetricStore(),
    steadyStateTimeoutMs: options.steadyStateTimeoutMs ?? STEADY_STATE_TIMEOUT_MS,
    log,
    logFile: (name) => join(stateDirectory, 'logs', `${name}.log`),
    awsEnvironment: (region) => ({ ...sdkEnvironment(region), ...operator }),
    childEnvironment: (region, credentials) => ({
      PATH: [dirname(process.execPath), '/usr/local/bin:/usr/bin:/bin'].join(':'),
      LANG: 'C.UTF-8',
      NODE_OPTIONS: ['loopback-names.cjs', 'child-guard.cjs'].map(requireOption).join(' '),
      ...sdkEnvironment(region),
      ...credentials,
    }),
    close: () => front.close(),
  };
}

function requireOption(file: string): string {
  const path = resolve(__dirname, '..', file);
  return `--require "${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
