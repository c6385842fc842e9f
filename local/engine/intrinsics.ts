import { cidrBlocks } from './cidr';
import {
  asCall,
  asList,
  asScalarText,
  asText,
  located,
  NO_VALUE,
  placeholders,
  substitution,
} from './intrinsic-arguments';
import type { Template } from './template';

/** What a template's functions may refer to beyond the template itself. */
export interface EvaluationScope {
  readonly stackName: string;
  readonly stackId: string;
  readonly account: string;
  readonly region: string;
  readonly template: Template;
  /** Value of `Ref` of a started resource, `undefined` when it is not (yet) there. */
  ref(logicalId: string): string | undefined;
  /** Value of `Fn::GetAtt`; throws when the started resource has no such attribute. */
  attribute(logicalId: string, name: string): unknown;
  /** Value another stack of this account and region exports; throws when none does. */
  importValue(name: string): unknown;
  /** Output of another stack; throws when there is none. */
  stackOutput(stackName: string, region: string, outputName: string): unknown;
  /** Value of a Systems Manager parameter, `undefined` when there is none. */
  systemParameter(name: string): string | undefined;
  /** Value of a secret in the template's region, `undefined` when there is none. */
  secret(name: string): string | undefined;
}

type IntrinsicFunction = (argument: unknown, path: string) => unknown;

/**
 * Evaluates the intrinsic functions of one template.
 * Semantics: CloudFormation's intrinsic function reference. Nothing is passed through unresolved: an unknown function,
 * reference, attribute, mapping key or dynamic reference throws with its path.
 */
export class Evaluator {
  private readonly conditions = new Map<string, boolean>();

  constructor(private readonly scope: EvaluationScope) {}

  /** The value of `input` with every function in it applied. `path` only appears in errors. */
  value(input: unknown, path: string): unknown {
    const value = this.evaluate(input, path);
    return value === NO_VALUE ? undefined : value;
  }

  /** Whether a named condition of the template holds. */
  condition(name: string, path: string): boolean {
    const known = this.conditions.get(name);
    if (known !== undefined) return known;
    if (!Object.hasOwn(this.scope.template.Conditions, name)) {
      throw new Error(`${path}: condition ${name} is not defined in the template's Conditions`);
    }
    const holds = this.asBoolean(this.scope.template.Conditions[name], `Conditions.${name}`);
    this.conditions.set(name, holds);
    return holds;
  }

  /** Logical ids of this template's resources that evaluating `input` will refer to; the untaken branch of `Fn::If` does not count. */
  references(input: unknown, path: string): Set<string> {
    const found = new Set<string>();
    this.collectReferences(input, path, found);
    return found;
  }

  private collectReferences(input: unknown, path: string, found: Set<string>): void {
    if (Array.isArray(input)) {
      for (const item of input) this.collectReferences(item, path, found);
      return;
    }
    if (typeof input !== 'object' || input === null) return;
    const call = asCall(input);
    const add = (logicalId: string) => {
      if (Object.hasOwn(this.scope.template.Resources, logicalId)) found.add(logicalId);
    };
    if (call?.name === 'Ref' && typeof call.argument === 'string') add(call.argument);
    if (call?.name === 'Fn::GetAtt') add(this.attributeParts(call.argument, path)[0]);
    if (call?.name === 'Fn::Sub') {
      const { text, variables } = substitution(call.argument, path);
      for (const name of placeholders(text)) {
        if (!Object.hasOwn(variables, name)) add(name.split('.', 1)[0] ?? name);
      }
    }
    if (call?.name === 'Fn::If') {
      this.collectReferences(this.chosenBranch(call.argument, path), path, found);
      return;
    }
    for (const item of Object.values(input)) this.collectReferences(item, path, found);
  }

  private evaluate(input: unknown, path: string): unknown {
    if (typeof input === 'string') return this.withDynamicReferences(input, path);
    if (Array.isArray(input)) {
      return input.map((item, index) => this.evaluate(item, `${path}[${index}]`)).filter((item) => item !== NO_VALUE);
    }
    if (typeof input !== 'object' || input === null) return input;
    const call = asCall(input);
    if (call) {
      const apply = this.functions[call.name];
      if (!apply) throw new Error(`${path}: the function ${call.name} is not known to the evaluator`);
      return apply(call.argument, `${path}.${call.name}`);
    }
    const entries = Object.entries(input)
      .map(([key, item]): [string, unknown] => [key, this.evaluate(item, `${path}.${key}`)])
      .filter(([, item]) => item !== NO_VALUE);
    return Object.fromEntries(entries);
  }

  private readonly functions: Readonly<Record<string, IntrinsicFunction>> = {
    Ref: (argument, path) => this.reference(asText(argument, path), path),
    Condition: (argument, path) => this.condition(asText(argument, path), path),
    'Fn::GetAtt': (argument, path) => {
      const [logicalId, name] = this.attributeParts(argument, path);
      return this.attribute(logicalId, name, path);
    },
    'Fn::Sub': (argument, path) => this.substitute(argument, path),
    'Fn::Join': (argument, path) => {
      const [delimiter, list] = asList(argument, path, 2);
      return this.list(list, `${path}[1]`)
        .map((item) => asScalarText(item, path))
        .join(asText(delimiter, path));
    },
    'Fn::Split': (argument, path) => {
      const [delimiter, source] = asList(argument, path, 2);
      return this.text(source, path).split(asText(delimiter, path));
    },
    'Fn::Select': (argument, path) => {
      const [index, list] = asList(argument, path, 2);
      const items = this.list(list, `${path}[1]`);
      const position = Number(this.evaluate(index, path));
      if (!Number.isInteger(position) || position < 0 || position >= items.length) {
        throw new Error(`${path}: index ${position} is outside a list of ${items.length}`);
      }
      return items[position];
    },
    'Fn::FindInMap': (argument, path) => this.findInMap(argument, path),
    'Fn::If': (argument, path) => this.evaluate(this.chosenBranch(argument, path), path),
    'Fn::Equals': (argument, path) => {
      const [left, right] = asList(argument, path, 2);
      return asScalarText(this.evaluate(left, path), path) === asScalarText(this.evaluate(right, path), path);
    },
    'Fn::And': (argument, path) => asList(argument, path).every((item) => this.asBoolean(item, path)),
    'Fn::Or': (argument, path) => asList(argument, path).some((item) => this.asBoolean(item, path)),
    'Fn::Not': (argument, path) => !this.asBoolean(asList(argument, path, 1)[0], path),
    'Fn::GetAZs': (argument, path) => {
      const region = this.text(argument, path) || this.scope.region;
      return ['a', 'b', 'c'].map((zone) => `${region}${zone}`);
    },
    'Fn::ImportValue': (argument, path) => located(path, () => this.scope.importValue(this.text(argument, path))),
    'Fn::GetStackOutput': (argument, path) => this.stackOutput(argument, path),
    'Fn::Base64': (argument, path) => Buffer.from(this.text(argument, path), 'utf8').toString('base64'),
    'Fn::Cidr': (argument, path) => {
      const [block, count, bits] = asList(argument, path);
      const evaluated = (item: unknown) => Number(this.evaluate(item, path));
      return located(path, () => cidrBlocks(this.text(block, path), evaluated(count), evaluated(bits)));
    },
    'Fn::Length': (argument, path) => this.list(argument, path).length,
    'Fn::ToJsonString': (argument, path) => JSON.stringify(this.evaluate(argument, path)),
  };

  private reference(name: string, path: string): unknown {
    const pseudo = this.pseudoParameter(name);
    if (pseudo !== undefined) return pseudo;
    const parameter = this.scope.template.Parameters[name];
    if (parameter) return this.parameter(name, parameter, path);
    const ref = this.scope.ref(name);
    if (ref === undefined) throw new Error(`${path}: ${name} is neither a parameter nor a started resource`);
    return ref;
  }

  private pseudoParameter(name: string): unknown {
    const { account, region, stackName, stackId } = this.scope;
    switch (name) {
      case 'AWS::AccountId':
        return account;
      case 'AWS::Region':
        return region;
      case 'AWS::StackName':
        return stackName;
      case 'AWS::StackId':
        return stackId;
      case 'AWS::Partition':
        return 'aws';
      case 'AWS::URLSuffix':
        return 'amazonaws.com';
      case 'AWS::NotificationARNs':
        return [];
      case 'AWS::NoValue':
        return NO_VALUE;
      default:
        return undefined;
    }
  }

  private parameter(name: string, parameter: Template['Parameters'][string], path: string): unknown {
    if (parameter.Default === undefined)
      throw new Error(`${path}: parameter ${name} has no default and nobody to give it`);
    if (parameter.Type.startsWith('AWS::SSM::Parameter::Value')) {
      return this.systemParameter(String(parameter.Default), path);
    }
    const isList = parameter.Type === 'CommaDelimitedList' || parameter.Type.startsWith('List<');
    return isList
      ? String(parameter.Default)
          .split(',')
          .map((item) => item.trim())
      : parameter.Default;
  }

  private systemParameter(name: string, path: string): string {
    const value = this.scope.systemParameter(name);
    if (value === undefined) throw new Error(`${path}: Systems Manager has no parameter ${name} here`);
    return value;
  }

  /** `secretsmanager:<name>:SecretString:::`, the whole current value. */
  private secretString([name = '', field, ...choice]: readonly string[], whole: string, path: string): string {
    if (field !== 'SecretString' || choice.some((part) => part !== '')) {
      throw new Error(`${path}: ${whole} must name a secret and SecretString; keys and versions are not read here`);
    }
    const value = this.scope.secret(name);
    if (value === undefined) throw new Error(`${path}: Secrets Manager has no secret ${name} in ${this.scope.region}`);
    return value;
  }

  private attribute(logicalId: string, name: string, path: string): unknown {
    if (this.scope.ref(logicalId) === undefined) throw new Error(`${path}: ${logicalId} is not a started resource`);
    return located(path, () => this.scope.attribute(logicalId, name));
  }

  private attributeParts(argument: unknown, path: string): [logicalId: string, attribute: string] {
    const parts =
      typeof argument === 'string' ? argument.split('.') : asList(argument, path).map((p) => this.text(p, path));
    const [logicalId, ...attribute] = parts;
    if (!logicalId || attribute.length === 0)
      throw new Error(`${path}: ${JSON.stringify(argument)} must be [logical id, attribute]`);
    return [logicalId, attribute.join('.')];
  }

  private substitute(argument: unknown, path: string): string {
    const { text, variables } = substitution(argument, path);
    return text.replace(/\$\{([^}]+)\}/g, (_, name: string) => {
      if (name.startsWith('!')) return `\${${name.slice(1)}}`;
      if (Object.hasOwn(variables, name)) return asScalarText(this.evaluate(variables[name], `${path}.${name}`), path);
      const [logicalId, ...attribute] = name.trim().split('.');
      const value =
        attribute.length > 0 && logicalId
          ? this.attribute(logicalId, attribute.join('.'), path)
          : this.reference(name.trim(), path);
      return asScalarText(value, path);
    });
  }

  private findInMap(argument: unknown, path: string): unknown {
    const [mapName, topKey, secondKey, options] = asList(argument, path);
    const [map, top, second] = [mapName, topKey, secondKey].map((item) => this.text(item, path));
    const found = this.scope.template.Mappings[map ?? '']?.[top ?? '']?.[second ?? ''];
    if (found !== undefined) return found;
    if (typeof options === 'object' && options !== null && 'DefaultValue' in options) {
      return this.evaluate(options.DefaultValue, path);
    }
    throw new Error(`${path}: the template's Mappings have no ${map}.${top}.${second}`);
  }

  private stackOutput(argument: unknown, path: string): unknown {
    const given = this.evaluate(argument, path);
    if (typeof given !== 'object' || given === null)
      throw new Error(`${path}: must be an object with StackName and OutputName`);
    const { StackName, OutputName, Region } = given as Record<string, unknown>;
    // StackName may be an ARN, arn:aws:cloudformation:<region>:<account>:stack/<name>/<id>.
    const [, name = asText(StackName, path)] = /:stack\/([^/]+)/.exec(asText(StackName, path)) ?? [];
    const region = Region === undefined ? this.scope.region : asText(Region, path);
    return located(path, () => this.scope.stackOutput(name, region, asText(OutputName, path)));
  }

  private chosenBranch(argument: unknown, path: string): unknown {
    const [name, whenTrue, whenFalse] = asList(argument, path, 3);
    return this.condition(asText(name, path), path) ? whenTrue : whenFalse;
  }

  private withDynamicReferences(text: string, path: string): string {
    return text.replace(/\{\{resolve:([^}]*)\}\}/g, (whole, reference: string) => {
      const [service, ...name] = reference.split(':');
      if (service === 'secretsmanager') return this.secretString(name, whole, path);
      if (service !== 'ssm') throw new Error(`${path}: the dynamic reference ${whole} cannot be resolved here`);
      return this.systemParameter(name.join(':').replace(/:\d+$/, ''), path);
    });
  }

  private asBoolean(input: unknown, path: string): boolean {
    const value = this.evaluate(input, path);
    if (value === true || value === 'true') return true;
    if (value === false || value === 'false') return false;
    throw new Error(`${path}: ${JSON.stringify(value)} is not a condition`);
  }

  private text(input: unknown, path: string): string {
    return asScalarText(this.evaluate(input, path), path);
  }

  private list(input: unknown, path: string): unknown[] {
    return asList(this.evaluate(input, path), path);
  }
}
