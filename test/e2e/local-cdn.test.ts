import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CdnStatus } from '../../lib/control/status';
import { type LocalCdn, startLocalCdn } from '../support/local-cdn';
import { acceptedKeys, flushL1, restartEdgeContainers } from '../support/local-operations';
import { freshFeatures, REGIONS, traffic, VIEWERS, Viewers } from '../support/local-viewers';
import { mlcdn } from '../support/operator-cli';
import { descendantsOf, stillRunning } from '../support/processes';

const ROOT = join(__dirname, '..', '..');
interface Golden {
  readonly inputs: readonly { readonly data: readonly number[] }[];
  readonly outputs: readonly { readonly data: readonly number[] }[];
}

jest.setTimeout(120_000);

let cdn: LocalCdn;
const viewers = new Viewers(() => cdn.connection.url);
const call = viewers.call.bind(viewers);
const post = viewers.post.bind(viewers);
const get = viewers.get.bind(viewers);

function golden(version: string): Golden[] {
  return JSON.parse(readFileSync(join(ROOT, '.build', 'models', 'ranker', version, 'golden.json'), 'utf8')) as Golden[];
}

beforeAll(async () => {
  cdn = await startLocalCdn({ port: 18_080 });
}, 300_000);

afterAll(async () => {
  await cdn?.interrupt();
}, 60_000);

describe('a prediction', () => {
  test('is what the model computes, from the region nearest to the viewer', async () => {
    for (const region of REGIONS) {
      const [sample] = golden('1');
      const { body } = await post(region, sample?.inputs[0]?.data ?? []);
      expect(body).toMatchObject({ edge_region: region, model: 'ranker', version: '1' });
      expect(body.prediction).toBeCloseTo(sample?.outputs[0]?.data[0] ?? Number.NaN, 5);
    }
  });

  test('is computed once, then comes from memory; another region has its own caches', async () => {
    const features = freshFeatures();
    const tiers = [];
    for (let i = 0; i < 3; i++) tiers.push((await post('us-east-1', features)).tier);
    expect(tiers).toEqual(['computed', 'memory', 'memory']);
    expect((await post('eu-west-1', features)).tier).toBe('computed');
  });

  test('comes from l1 after an edge task restarted, and from l2 when Valkey was flushed as well', async () => {
    const region = 'ap-northeast-1';
    const [one, other] = [freshFeatures(), freshFeatures()];
    expect((await post(region, one)).tier).toBe('computed');
    expect((await post(region, other)).tier).toBe('computed');
    await restartEdgeContainers(cdn.connection, region, VIEWERS[region]);
    expect((await post(region, one)).tier).toBe('l1');
    await flushL1(cdn.connection, region);
    expect((await post(region, other)).tier).toBe('l2');
    expect((await post(region, other)).tier).toBe('memory');
  });

  test('by GET is cached at the POP, whatever the spelling of the query', async () => {
    const features = freshFeatures();
    const first = await get('eu-west-1', features);
    expect(first).toMatchObject({ pop: 'Miss from cloudfront' });
    expect(await get('eu-west-1', features)).toEqual({ ...first, pop: 'Hit from cloudfront' });
    const spelled = features.map((n) => n.toFixed(6)).join(',');
    const other = await call('eu-west-1', `/predict?features=${spelled}&utm_source=x&model=ranker`);
    expect(other.headers.get('x-cache')).toBe('Hit from cloudfront');
  });

  test('with a bad field is refused with the field, the value and what is right', async () => {
    const response = await call('us-east-1', '/predict', { method: 'POST', body: '{"features":[1,2,"x",4,5,6,7,8]}' });
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as { error: { message: string } };
    expect(error.message).toMatch(/features.*2.*"x"/);
  });
});

describe('an artifact', () => {
  test('comes from S3 through the POP, byte for byte', async () => {
    const file = readFileSync(join(ROOT, '.build', 'models', 'ranker', '1', 'model.onnx'));
    const first = await call('ap-northeast-1', '/models/ranker/1/model.onnx');
    expect(Buffer.from(await first.arrayBuffer()).equals(file)).toBe(true);
    const second = await call('ap-northeast-1', '/models/ranker/1/model.onnx');
    expect([first.headers.get('x-cache'), second.headers.get('x-cache')]).toEqual([
      'Miss from cloudfront',
      'Hit from cloudfront',
    ]);
    expect((await call('ap-northeast-1', '/models/ranker/99/model.onnx')).status).toBe(404);
  });

  test('and the metrics of a task are not public', async () => {
    expect((await call('us-east-1', '/metrics')).status).toBe(404);
  });
});

describe('publishing', () => {
  test('a second version reaches every region while requests run; none fails, none is mislabelled', async () => {
    const [one, two] = [golden('1')[0], golden('2')[0]];
    const features = one?.inputs[0]?.data ?? [];
    expect(two?.inputs[0]?.data).toEqual(features);
    const expected: Record<string, number> = {
      '1': one?.outputs[0]?.data[0] ?? Number.NaN,
      '2': two?.outputs[0]?.data[0] ?? Number.NaN,
    };
    const runs = REGIONS.flatMap((region) => [
      traffic(async () => (await post(region, features)).body),
      traffic(async () => (await get(region, features)).body),
    ]);
    await mlcdn(
      'publish',
      '.build/models/ranker/2/model.onnx',
      '--name',
      'ranker',
      '--version',
      '2',
      '--golden',
      '.build/models/ranker/2/golden.json',
    );
    for (const region of REGIONS) {
      expect((await post(region, freshFeatures())).body.version).toBe('2');
      expect((await get(region, freshFeatures())).body.version).toBe('2');
    }
    await sleep(500);
    await Promise.all(runs.map((run) => run.stop()));
    for (const run of runs) {
      expect(run.failures).toEqual([]);
      expect(run.answers.at(-1)?.version).toBe('2');
      for (const answer of run.answers)
        expect(answer.prediction).toBeCloseTo(expected[answer.version] ?? Number.NaN, 5);
    }
    expect(runs.flatMap((run) => run.answers).some((answer) => answer.version === '1')).toBe(true);
  });

  test('is seen by status in every region', async () => {
    const status = (await mlcdn('status')) as unknown as CdnStatus;
    expect(status.problems).toEqual([]);
    expect(status.models).toEqual([
      expect.objectContaining({ model: 'ranker', production: '2', previous: '1', edgeKeyVersion: '2' }),
    ]);
    const active = status.regions.map(({ region, control }) => {
      if (!('value' in control)) throw new Error(`${region}: ${control.error}`);
      const versions = control.value.tasks.flatMap((task) => task.models.ranker ?? []);
      return [region, versions.filter(({ state }) => state === 'active').map(({ version }) => version)];
    });
    expect(active).toEqual(REGIONS.map((region) => [region, ['2']]));
  });

  test('the same version with other bytes is refused', async () => {
    await expect(
      mlcdn('publish', '.build/models/ranker/1/model.onnx', '--name', 'ranker', '--version', '2'),
    ).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringContaining('already published with other bytes'),
    });
  });
});

describe('invalidation', () => {
  test('of a model makes the next request of every region computed, at the POP too', async () => {
    const features = freshFeatures();
    for (const region of REGIONS) {
      await post(region, features);
      await get(region, features);
      expect((await post(region, features)).tier).toBe('memory');
      expect((await get(region, features)).pop).toBe('Hit from cloudfront');
    }
    await mlcdn('invalidate', '--model', 'ranker', '--wait');
    for (const region of REGIONS) {
      expect((await post(region, features)).tier).toBe('computed');
      expect((await get(region, features)).pop).toBe('Miss from cloudfront');
    }
  });
});

describe('a rotation of the origin keys', () => {
  test('lets no request fail, and every load balancer asks for the new ones alone', async () => {
    const before = await Promise.all(REGIONS.map((region) => acceptedKeys(cdn.connection, region)));
    const runs = REGIONS.flatMap((region) => [
      traffic(async () => (await post(region, freshFeatures())).body),
      traffic(async () => (await get(region, freshFeatures())).body),
    ]);
    const result = await mlcdn('rotate-origin-key');
    await Promise.all(runs.map((run) => run.stop()));
    expect(result).toMatchObject({ environment: 'local', resumed: false });
    expect(runs.flatMap((run) => run.failures)).toEqual([]);
    expect(Math.min(...runs.map((run) => run.answers.length))).toBeGreaterThan(0);

    const [home = [], ...others] = await Promise.all(REGIONS.map((region) => acceptedKeys(cdn.connection, region)));
    expect(home).toEqual([[expect.stringMatching(/^[0-9a-f]{64}$/)], [expect.stringMatching(/^[0-9a-f]{64}$/)]]);
    for (const other of others) expect(other).toEqual(home);
    expect(before.flat(2).filter((key) => home.flat().includes(key))).toEqual([]);
  });
});

describe('Ctrl-C', () => {
  test('ends everything that was started', async () => {
    const started = await descendantsOf(cdn.process.pid ?? 0);
    expect(started.map(({ command }) => command.split(' ')[0])).toContain('redis-server');
    const log = () => readFileSync('.mlcdn/runner.log', 'utf8');
    const saidBefore = log().length;
    expect(await cdn.interrupt()).toBe(0);
    expect(await stillRunning(started)).toEqual([]);
    // Nothing of what was stopped was taken for lost.
    expect(log().slice(saidBefore)).not.toMatch(/was lost|restarted in place|Essential container/);
  });
});
