import { join } from 'node:path';
import { Architecture, Code, type FunctionProps, Runtime } from 'aws-cdk-lib/aws-lambda';
import { BUILD_DIRECTORY, bundleText, writeIfChanged } from './bundle';

/** Directories of the functions bundled by this process: every region deploys the same program. */
const bundled = new Map<string, string>();

/**
 * The program of `lambda/<folder>/handler.ts`, with everything it imports, the AWS SDK included: so a new SDK in Lambda's
 * runtime never changes a function that nobody deployed.
 */
export function lambdaProgram(folder: string): Pick<FunctionProps, 'code' | 'handler' | 'runtime' | 'architecture'> {
  const directory = bundled.get(folder) ?? bundleInto(join(BUILD_DIRECTORY, 'lambda', folder), folder);
  bundled.set(folder, directory);
  return {
    code: Code.fromAsset(directory),
    handler: 'index.handler',
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
  };
}

function bundleInto(directory: string, folder: string): string {
  const program = bundleText(`lambda/${folder}/handler.ts`, { platform: 'node', format: 'cjs', target: 'node20' });
  writeIfChanged(join(directory, 'index.js'), program);
  return directory;
}
