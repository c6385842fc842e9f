import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Template } from 'aws-cdk-lib/assertions';
import { type ConfigOverrides, type EnvironmentConfig, loadConfig } from '../../lib/config';
import { sharedAssembly } from './shared-assemblies';

/** A stack as the manifest of its cloud assembly describes it. */
interface SynthesizedStack {
  readonly region: string;
  readonly terminationProtection: boolean;
  readonly templateFile: string;
}

interface Artifact {
  readonly type: string;
  /** Path of the construct, `<environment>/<id>`. */
  readonly displayName: string;
  /** `aws://<account>/<region>`. */
  readonly environment: string;
  readonly properties: { readonly templateFile: string; readonly terminationProtection?: boolean };
}

/** The templates of an environment, without validation (tests of their own do that). */
export class SynthesizedEnvironment {
  private readonly stacks: ReadonlyMap<string, SynthesizedStack>;

  constructor(environment: string | EnvironmentConfig, overrides: ConfigOverrides = {}) {
    const config = typeof environment === 'string' ? loadConfig(environment, overrides) : environment;
    const directory = join(sharedAssembly(config), `assembly-${config.name}`);
    const { artifacts } = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8')) as {
      artifacts: Readonly<Record<string, Artifact>>;
    };
    this.stacks = new Map(
      Object.values(artifacts)
        .filter(({ type }) => type === 'aws:cloudformation:stack')
        .map(({ displayName, environment: place, properties }) => [
          displayName.slice(config.name.length + 1),
          {
            region: place.split('/').at(-1) ?? '',
            terminationProtection: properties.terminationProtection === true,
            templateFile: join(directory, properties.templateFile),
          },
        ]),
    );
  }

  /** A stack by its id in the stage, e.g. `edge-eu-west-1`. */
  stack(id: string): SynthesizedStack {
    const stack = this.stacks.get(id);
    if (!stack) throw new Error(`there is no stack ${id}; there are ${this.ids.join(', ')}`);
    return stack;
  }

  /** Ids of all stacks in the stage. */
  get ids(): string[] {
    return [...this.stacks.keys()];
  }

  template(id: string): Template {
    return Template.fromString(readFileSync(this.stack(id).templateFile, 'utf8'));
  }
}
