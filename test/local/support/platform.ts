import type { Platform } from '../../../local/engine/platform';
import { startPlatform } from '../../../local/engine/platform';
import { ACCOUNT } from './cloud-assembly';
import { temporaryDirectory } from './temporary-directory';

/** A platform of its own for the tests of the calling file, with what it logged; closed at the end. */
export function testPlatform(): { readonly get: () => Platform; readonly directory: string; readonly lines: string[] } {
  const directory = temporaryDirectory();
  const lines: string[] = [];
  let platform: Platform | undefined;
  beforeAll(async () => {
    platform = await startPlatform({ stateDirectory: directory, account: ACCOUNT, log: (line) => lines.push(line) });
  });
  afterAll(() => platform?.close());
  return {
    directory,
    lines,
    get: () => {
      if (!platform) throw new Error('the platform starts in beforeAll');
      return platform;
    },
  };
}

/** Settings by which an AWS SDK client of a test reaches a platform's endpoint. */
export function clientSettings(platform: Platform, region = 'us-east-1') {
  const environment = platform.awsEnvironment(region);
  return {
    region,
    endpoint: `http://127.0.0.1:${platform.front.port}`,
    credentials: {
      accessKeyId: environment.AWS_ACCESS_KEY_ID ?? '',
      secretAccessKey: environment.AWS_SECRET_ACCESS_KEY ?? '',
    },
    maxAttempts: 1,
  };
}

/** A resource as the evaluator hands it to a module. */
export function resource(type: string, logicalId: string, properties: Record<string, unknown>, region = 'us-east-1') {
  const none = () => {
    throw new Error('this test stages no asset');
  };
  const assets = { fileByObjectKey: none, imageDirectoryByTag: none };
  return { stackName: 'edge', region, account: ACCOUNT, logicalId, type, properties, assets };
}
