/**
 * How well caches follow RFC 9111: the public suite github.com/http-tests/cache-tests against the edge service, nginx,
 * Varnish and Apache Traffic Server, each a fresh process with an empty cache before the suite's own origin server.
 *
 * The suite is not part of this repository. Check it out, and let it find `undici`:
 *
 *   git clone https://github.com/http-tests/cache-tests ../cache-tests && ln -s "$PWD/node_modules" ../cache-tests/
 *   npm run bench:conformance -- --suite ../cache-tests
 *   npm run bench:conformance -- --suite ../cache-tests --subject mlcdn --failed
 *   npm run bench:conformance -- --suite ../cache-tests --subject mlcdn --id cdn-max-age   # the exchange, in full
 *
 * A run takes about a minute a subject; `--at-once 100` makes it shorter (the suite's own default is 25). Tests for
 * browsers alone are left out; a test whose dependency failed counts as failed, as on cache-tests.fyi.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { SUBJECT_NAMES, startSubject } from './subjects';
import { freePort, startProcess, untilListening } from './support/processes';
import { printTable } from './support/report';
import type { SuiteVerdict } from './support/suite-client';

interface Options {
  readonly suite: string;
  readonly subjects: readonly string[];
  readonly ids: readonly string[];
  readonly atOnce: string;
  readonly failed: boolean;
  readonly json: boolean;
}

async function main(): Promise<void> {
  const options = readOptions();
  const verdicts = new Map<string, readonly SuiteVerdict[]>();
  for (const subject of options.subjects) verdicts.set(subject, await run(subject, options));
  if (options.json) {
    console.log(JSON.stringify(Object.fromEntries(verdicts)));
    return;
  }
  if (options.failed || options.ids.length > 0)
    for (const [subject, list] of verdicts) printVerdicts(subject, list, options);
  if (options.ids.length === 0) printScores(verdicts);
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string' },
      subject: { type: 'string', multiple: true },
      id: { type: 'string', multiple: true },
      'at-once': { type: 'string', default: '25' },
      failed: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const suite = resolve(values.suite ?? '');
  if (values.suite === undefined || !existsSync(join(suite, 'test-engine', 'cli.mjs'))) {
    throw new Error(`--suite ${values.suite ?? ''}: must be a checkout of github.com/http-tests/cache-tests`);
  }
  return {
    suite,
    subjects: values.subject ?? SUBJECT_NAMES,
    ids: values.id ?? [],
    atOnce: values['at-once'],
    failed: values.failed,
    json: values.json,
  };
}

async function run(name: string, options: Options): Promise<readonly SuiteVerdict[]> {
  const originPort = await freePort();
  const origin = startProcess(process.execPath, [join(options.suite, 'test-engine', 'server', 'server.mjs')], {
    env: {
      npm_config_protocol: 'http',
      npm_config_port: `${originPort}`,
      npm_config_pidfile: '/dev/null',
    },
  });
  try {
    await untilListening(originPort, origin);
    const subject = await startSubject(name, { originPort });
    try {
      return await runClient(subject.url, options);
    } finally {
      await subject.stop();
      if (options.ids.length > 0) process.stderr.write(origin.output());
    }
  } finally {
    await origin.stop();
  }
}

function runClient(url: string, options: Options): Promise<readonly SuiteVerdict[]> {
  const client = join('bench', 'support', 'suite-client.ts');
  const args = ['--no-warnings', '--import', 'tsx', client, options.suite, url, options.atOnce, ...options.ids];
  return new Promise((done, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const killWithParent = () => child.kill('SIGKILL');
    process.once('exit', killWithParent);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.once('error', reject);
    child.once('close', (code) => {
      process.removeListener('exit', killWithParent);
      if (code === 0) done(JSON.parse(output));
      else reject(new Error(`the suite's client ended with ${code}`));
    });
  });
}

function printVerdicts(subject: string, verdicts: readonly SuiteVerdict[], options: Options): void {
  console.log(`\n${subject}`);
  for (const { id, kind, passed, outcome, reason } of verdicts) {
    if (options.ids.length > 0 || (!passed && kind !== 'check'))
      console.log(`  ${kind.padEnd(8)}  ${id}  ${outcome}  ${reason}`);
  }
}

function printScores(verdicts: ReadonlyMap<string, readonly SuiteVerdict[]>): void {
  const score = (list: readonly SuiteVerdict[], kind: SuiteVerdict['kind']) => {
    const ofKind = list.filter((verdict) => verdict.kind === kind);
    return `${ofKind.filter((verdict) => verdict.passed).length} / ${ofKind.length}`;
  };
  printTable(
    ['subject', 'required', 'optimal'],
    [...verdicts].map(([subject, list]) => [subject, score(list, 'required'), score(list, 'optimal')]),
  );
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
