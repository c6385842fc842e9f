import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
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

  describe('publish --cache-policy', () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'mlcdn-cli-'));
      await writeFile(join(folder, 'model.onnx'), 'not an ONNX model');
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    const publishWith = async (policy: string, ...options: string[]) => {
      await writeFile(join(folder, 'policy.json'), policy);
      const identity = ['--name', 'a', '--version', '1', '--cache-policy', join(folder, 'policy.json')];
      return mlcdn('publish', join(folder, 'model.onnx'), ...identity, ...options);
    };

    it.each([
      ['{"ttlSeconds": "1h"}', '"1h" must be whole seconds from 0 to 31536000'],
      ['{"ttl": 60}', 'has the unknown fields ttl; known: ttlSeconds, tags'],
      ['[]', '[] must be an object such as {"ttlSeconds": 60'],
      ['ttlSeconds: 60', 'is not a JSON cache policy'],
    ])('refuses %s', async (policy, reason) => {
      const { code, stderr } = await publishWith(policy);
      expect(stderr).toContain(reason);
      expect(code).toBe(1);
    });

    it('takes --ttl for its TTL', async () => {
      const { code, stderr } = await publishWith('{"ttlSeconds": 60, "staleIfErrorSeconds": 600}', '--ttl', '0');
      expect(stderr).toContain('staleIfErrorSeconds: 600 needs a ttlSeconds above 0');
      expect(code).toBe(2);
    });
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
