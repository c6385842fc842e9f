import { createHash, createHmac } from 'node:crypto';
import querystring from 'node:querystring';
import vm from 'node:vm';
import { z } from 'zod';
import { HOST_FUNCTION, SANDBOX_PRELUDE } from './edge-function-prelude';
import type { KeyValueStore } from './key-value-store';
import { OriginChoice } from './origin-choice';

/** Largest function code, bytes. */
const MAX_CODE_BYTES = 10 * 1024;

/**
 * Wall-clock bound of one run, ms. CloudFront bounds compute utilisation to about a millisecond of its own processors;
 * a bound that tight would fail runs for being on a busy laptop, so this one only ends loops that never would.
 * (Ending a loop of promises aborts Node 20 itself where async hooks are in use, as under Jest; the runner uses none.)
 */
const MAX_RUN_MS = 1000;

/** `FunctionExecutionError` is a function that threw (503), `FunctionValidationError` one that answered nonsense (502). */
export class EdgeFunctionError extends Error {
  constructor(
    readonly kind: 'FunctionExecutionError' | 'FunctionValidationError',
    message: string,
  ) {
    super(message);
  }
}

/** Where a function runs; what `cf.edgeLocation` tells it. */
export interface EdgeLocation {
  readonly name: string;
  readonly serverIp: string;
  readonly region: string;
}

/** What a run came to: the JSON of the object that the handler returned, and the origins it chose, if it did. */
export interface FunctionRun {
  readonly returned: unknown;
  readonly origins: OriginChoice | undefined;
}

/**
 * A CloudFront Function, JavaScript runtime 2.0, run by node:vm. Node accepts more of the language than CloudFront's
 * own engine does; tests run functions in njs too. A run has no access to time, network, files or `eval`, as in CloudFront.
 * Source: CloudFront developer guide, "JavaScript runtime 2.0 features for CloudFront Functions".
 */
export class EdgeFunction {
  private readonly context: vm.Context;
  private readonly run: vm.Script;
  private invocation: Invocation | undefined;

  /**
   * @param store the associated key value store
   * @throws when the code is too large, imports what there is not, or defines no `handler`
   */
  constructor(
    readonly name: string,
    code: string,
    private readonly store: KeyValueStore | undefined,
    private readonly log: (line: string) => void,
  ) {
    const bytes = Buffer.byteLength(code);
    if (bytes > MAX_CODE_BYTES) {
      throw new Error(`function ${name} has ${bytes} bytes of code; CloudFront accepts at most ${MAX_CODE_BYTES}`);
    }
    this.context = vm.createContext(
      { [HOST_FUNCTION]: (operation: string, ...values: unknown[]) => this.host(operation, values), Buffer },
      { codeGeneration: { strings: false, wasm: false }, microtaskMode: 'afterEvaluate' },
    );
    vm.runInContext(SANDBOX_PRELUDE, this.context, { filename: 'cloudfront-runtime.js' });
    try {
      vm.runInContext(withoutImports(name, code), this.context, { filename: `${name}.js`, timeout: MAX_RUN_MS });
    } catch (error) {
      throw new Error(`function ${name} does not load: ${messageOf(error)}`);
    }
    if (vm.runInContext('typeof handler', this.context) !== 'function') {
      throw new Error(`function ${name} defines no function named handler`);
    }
    this.run = new vm.Script('__run()', { filename: `${name}-run.js` });
  }

  /**
   * Calls the handler with an event. Runs to the end at once: in a function everything that can be awaited is at hand.
   *
   * @throws EdgeFunctionError when the function throws, does not end, or returns no object.
   */
  invoke(event: object, location: EdgeLocation, rawQueryString: string | undefined): FunctionRun {
    const invocation: Invocation = { event, location, rawQueryString, outcome: undefined, origins: undefined };
    this.invocation = invocation;
    try {
      this.run.runInContext(this.context, { timeout: MAX_RUN_MS });
    } catch (error) {
      throw this.failure(messageOf(error));
    } finally {
      this.invocation = undefined;
    }
    const { outcome, origins } = invocation;
    if (outcome === undefined) throw this.failure('the handler returned a promise that nothing settles');
    if ('error' in outcome) throw this.failure(outcome.error);
    if (outcome.json === undefined) {
      throw new EdgeFunctionError(
        'FunctionValidationError',
        `function ${this.name} returned no request and no response`,
      );
    }
    return { returned: JSON.parse(outcome.json), origins };
  }

  private failure(message: string): EdgeFunctionError {
    this.log(`function ${this.name}: ${message}`);
    return new EdgeFunctionError('FunctionExecutionError', `function ${this.name}: ${message}`);
  }

  /** Serves the sandbox's calls to the host; values that cross are strings and numbers only. */
  private host(operation: string, values: readonly unknown[]): unknown {
    const [first, second, third, fourth] = values.map((value) => (value === undefined ? undefined : String(value)));
    switch (operation) {
      case 'log':
        return this.log(`function ${this.name}: ${first}`);
      case 'hash':
        return createHash(digestName(first))
          .update(second ?? '')
          .digest(encodingName(third));
      case 'hmac':
        return createHmac(digestName(first), second ?? '')
          .update(third ?? '')
          .digest(encodingName(fourth));
      case 'querystring.parse':
        return JSON.stringify(querystring.parse(first ?? ''));
      case 'querystring.stringify':
        return querystring.stringify(z.record(z.string(), z.any()).parse(JSON.parse(first ?? '{}')));
      case 'kvs.get':
        return this.associatedStore().get(first ?? '');
      case 'kvs.meta':
        return this.storeMeta();
      default:
        return this.invocationHost(operation, first);
    }
  }

  private invocationHost(operation: string, value: string | undefined): string | undefined {
    const invocation = this.invocation;
    if (!invocation) throw new Error(`${operation} is only there while the handler runs`);
    switch (operation) {
      case 'event':
        return JSON.stringify(invocation.event);
      case 'rawQueryString':
        return invocation.rawQueryString;
      case 'edgeLocation':
        return JSON.stringify(invocation.location);
      case 'origins':
        invocation.origins = OriginChoice.parse(JSON.parse(value ?? 'null'));
        return undefined;
      case 'resolved':
        invocation.outcome = { json: value };
        return undefined;
      case 'rejected':
        invocation.outcome = { error: value ?? 'the handler threw nothing' };
        return undefined;
      default:
        throw new Error(`the runtime has no operation ${operation}`);
    }
  }

  private associatedStore(): KeyValueStore {
    if (!this.store) throw new Error(`function ${this.name} has no key value store associated with it`);
    return this.store;
  }

  private storeMeta(): string {
    const store = this.associatedStore();
    return JSON.stringify({
      creationDateTime: store.created.toISOString(),
      lastUpdatedDateTime: store.lastModified.toISOString(),
      keyCount: store.itemCount,
    });
  }
}

interface Invocation {
  readonly event: object;
  readonly location: EdgeLocation;
  readonly rawQueryString: string | undefined;
  outcome: { readonly json: string | undefined } | { readonly error: string } | undefined;
  origins: OriginChoice | undefined;
}

/** Node's scripts know no `import`; the runtime's modules have default exports only, so each becomes a constant. */
function withoutImports(functionName: string, code: string): string {
  const script = code.replace(
    /^([ \t]*)import\s+([\w$]+)\s+from\s*(['"])([\w:-]+)\3[ \t]*;?/gm,
    (_statement, indent: string, local: string, _quote, module: string) =>
      `${indent}const ${local} = require(${JSON.stringify(module)});`,
  );
  if (/^[ \t]*(import|export)\s/m.test(script)) {
    throw new Error(
      `function ${functionName}: only \`import name from 'module'\` is understood, and nothing is exported`,
    );
  }
  return script;
}

function digestName(name: string | undefined): string {
  if (name !== 'md5' && name !== 'sha1' && name !== 'sha256') {
    throw new Error(`crypto has md5, sha1 and sha256, not ${name}`);
  }
  return name;
}

function encodingName(name: string | undefined): 'hex' | 'base64' | 'base64url' {
  if (name !== 'hex' && name !== 'base64' && name !== 'base64url') {
    throw new Error(`digest takes hex, base64 or base64url, not ${name}`);
  }
  return name;
}

/** Errors thrown in the sandbox are of its own `Error` class, so `instanceof` does not know them. */
function messageOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
}
