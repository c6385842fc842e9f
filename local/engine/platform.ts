import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { AwsFront } from '../aws-front/aws-front';
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
  log(line: string): void;
  /** Path of a log file below the state directory. */
  logFile(name: string): string;
  /**
   * Environment by which AWS SDKs of a process in `region` reach the stand-ins and trust their certificates. Also what
   * `.mlcdn/local.json` offers to the operator CLI.
   */
  awsEnvironment(region: string): Record<string, string>;
  /** Environment of a child that stands for a container or function: nothing of this process but the path to Node. */
  childEnvironment(region: string): Record<string, string>;
  close(): Promise<void>;
}

export interface PlatformOptions {
  /** Emptied at start, except for log files. */
  readonly stateDirectory: string;
  readonly account: string;
  readonly log: (line: string) => void;
  /** Port of the AWS endpoint; any free one by default. */
  readonly endpointPort?: number;
}

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
  const front = await AwsFront.start({ account, log, port: options.endpointPort ?? 0 });
  const credentials = {
    id: `LOCAL${randomBytes(8).toString('hex').toUpperCase()}`,
    secret: randomBytes(20).toString('hex'),
  };

  const awsEnvironment = (region: string) => ({
    AWS_ENDPOINT_URL: `http://localhost:${front.port}`,
    AWS_ACCESS_KEY_ID: credentials.id,
    AWS_SECRET_ACCESS_KEY: credentials.secret,
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
    log,
    logFile: (name) => join(stateDirectory, 'logs', `${name}.log`),
    awsEnvironment,
    childEnvironment: (region) => ({
      PATH: [dirname(process.execPath), '/usr/local/bin:/usr/bin:/bin'].join(':'),
      LANG: 'C.UTF-8',
      NODE_OPTIONS: ['loopback-names.cjs', 'child-guard.cjs'].map(requireOption).join(' '),
      ...awsEnvironment(region),
    }),
    close: () => front.close(),
  };
}

function requireOption(file: string): string {
  const path = resolve(__dirname, '..', file);
  return `--require "${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
