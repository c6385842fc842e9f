import { spawn } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..');

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function mlcdn(...args: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [join(ROOT, 'bin', 'mlcdn.cjs'), ...args], { cwd: ROOT });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

describe('mlcdn', () => {
  it('lists its commands', async () => {
    const { code, stdout } = await mlcdn('--help');
    expect(code).toBe(0);
    for (const command of ['publish', 'rollback', 'status', 'invalidate']) expect(stdout).toContain(command);
  });

  it.each([
    ['an unknown command', ['purge'], "unknown command 'purge'"],
    [
      'a missing option',
      ['publish', 'model.onnx', '--name', 'a'],
      "required option '--version <version>' not specified",
    ],
    ['an unknown option', ['status', '--region', 'x'], "unknown option '--region'"],
    ['a time that is none', ['rollback', 'a', '--timeout', 'soon'], 'It must be a whole number of seconds.'],
    [
      'an invalidation of nothing',
      ['invalidate'],
      'name what to invalidate: a key, tag, prefix, pattern, model or path',
    ],
    ['an impossible path', ['invalidate', '--path', 'x'], `path "x" must start with '/'`],
    ['an impossible tag', ['invalidate', '--tag', 'a,b'], 'cache tag "a,b" must be 1-256 printable ASCII'],
    [
      'an unknown environment',
      ['status', '--env', 'moon'],
      'environment "moon" does not exist; known: dev, staging, prod, local',
    ],
  ])('answers %s with 2 and the reason', async (_what, args, reason) => {
    const { code, stdout, stderr } = await mlcdn(...args);
    expect(stderr).toContain(reason);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  it('answers a failure with 1 and the reason', async () => {
    const { code, stderr } = await mlcdn('publish', '/no/such/model.onnx', '--name', 'a', '--version', '1');
    expect(stderr).toContain('cannot read /no/such/model.onnx');
    expect(code).toBe(1);
  });

  it('prints one JSON document and nothing else with --json, also for errors', async () => {
    const usage = await mlcdn('purge', '--json');
    expect(JSON.parse(usage.stdout)).toEqual({ error: { code: 'usage', message: expect.stringContaining("'purge'") } });
    const failure = await mlcdn('publish', '/no/such/model.onnx', '--name', 'a', '--version', '1', '--json');
    expect(JSON.parse(failure.stdout)).toEqual({
      error: { code: 'failed', message: expect.stringContaining('/no/such/model.onnx') },
    });
  });
});
