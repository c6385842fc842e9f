import { Command, InvalidArgumentError } from 'commander';
import { AWS_REGIONS } from '../lib/core/regions';

/** What `npm start -- ...` was asked for. */
export interface StartOptions {
  readonly port: number;
  /** Edge regions; the first is the home region. */
  readonly regions: readonly string[];
  readonly demo: boolean;
}

export const DEFAULT_REGIONS = ['us-east-1', 'eu-west-1', 'ap-northeast-1'];

function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new InvalidArgumentError('It must be a whole number from 1 to 65535.');
  }
  return port;
}

function parseRegions(text: string): string[] {
  const regions = text.split(',').map((region) => region.trim());
  const unknown = regions.find((region) => !Object.hasOwn(AWS_REGIONS, region));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(
      `${JSON.stringify(unknown)} is not a commercial AWS region; known are ${Object.keys(AWS_REGIONS).join(', ')}.`,
    );
  }
  const duplicate = regions.find((region, i) => regions.indexOf(region) !== i);
  if (duplicate !== undefined) throw new InvalidArgumentError(`${duplicate} is named twice.`);
  return regions;
}

/** Parses the arguments after `npm start --`; prints usage and exits 2 when they are wrong. */
export function parseStartOptions(argv: readonly string[]): StartOptions {
  const command = new Command('npm start --')
    .description('Runs the whole CDN on this machine from the synthesized CloudFormation templates.')
    .option('--port <number>', 'port of the CloudFront stand-in on 127.0.0.1', parsePort, 8080)
    .option(
      '--regions <list>',
      'edge regions, comma separated; the first is the home region',
      parseRegions,
      DEFAULT_REGIONS,
    )
    .option('--no-demo', 'start without the demonstration traffic')
    .allowExcessArguments(false)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  command.parse(argv, { from: 'user' });
  return command.opts<{ port: number; regions: string[]; demo: boolean }>();
}
