import { existsSync, renameSync, rmSync } from 'node:fs';
import { App } from 'aws-cdk-lib';
import cdkJson from '../../cdk.json';
import type { EnvironmentConfig } from '../../lib/config';
import { EnvironmentStage } from '../../lib/stacks/environment-stage';

/** Program that writes cloud assemblies, each whole or not at all, without validation. Argument: configurations by directory, as JSON. */
const wanted = JSON.parse(process.argv[2] ?? '{}') as Record<string, EnvironmentConfig>;
for (const [directory, config] of Object.entries(wanted)) {
  const partial = `${directory}.${process.pid}`;
  const app = new App({ outdir: partial, context: cdkJson.context });
  new EnvironmentStage(app, config);
  app.synth();
  try {
    renameSync(partial, directory);
  } catch (error) {
    rmSync(partial, { recursive: true });
    if (!existsSync(directory)) throw error;
  }
}
