import { createHash } from 'node:crypto';
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { channelKey } from '../../lib/core/channel';
import { manifestKey, modelKey } from '../../lib/core/model-name';
import { startBucket, type TestBucket } from '../support/bucket';
import { type Container, type ContainerDefinition, runContainer } from '../support/container';
import { SynthesizedEnvironment } from '../support/synthesis';
import { lowerCaseModel, powerModel, tinyManifest, tinyModel } from '../support/tiny-models';

/*
 * The image that `npm run image` has built, which runs these tests in a network of their own; elsewhere they are skipped.
 */
const bundle = process.env.MLCDN_IMAGE_BUNDLE ?? '';
const describeImage = bundle === '' ? describe.skip : describe;
if (bundle === '') console.warn('The edge image is not tested: `npm run image` builds and tests it.');

/** Models in the bucket. One of them never runs in the first process, since an input could make it long. */
const MODELS = 3;

interface Entry {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly isDirectory: boolean;
  readonly isFile: boolean;
}

function entriesBelow(root: string, path = '/'): Entry[] {
  return readdirSync(join(root, path)).flatMap((name) => {
    const place = join(path, name);
    const stat = lstatSync(join(root, place));
    const entry = {
      path: place,
      mode: stat.mode,
      uid: stat.uid,
      isDirectory: stat.isDirectory(),
      isFile: stat.isFile(),
    };
    return stat.isDirectory() ? [entry, ...entriesBelow(root, place)] : stat.isSymbolicLink() ? [] : [entry];
  });
}

/** e_machine of an ELF file's header (System V ABI, figure 4-3); `undefined`: no ELF file. */
function elfMachine(file: string): number | undefined {
  const head = Buffer.alloc(20);
  const descriptor = openSync(file, 'r');
  const length = readSync(descriptor, head, 0, head.length, 0);
  closeSync(descriptor);
  return length === head.length && head.toString('latin1', 0, 4) === '\x7fELF' ? head.readUInt16LE(18) : undefined;
}

describeImage('the files of the image', () => {
  const root = join(bundle, 'rootfs');
  const entries = bundle === '' ? [] : entriesBelow(root);

  test('can be read by everybody, belong to root but for the volumes, and none runs as its owner', () => {
    const unreadable = entries.filter(({ mode, isDirectory }) => (mode & 0o7) < (isDirectory ? 0o5 : 0o4));
    expect(unreadable.map(({ path }) => path)).toEqual([]);
    expect(entries.filter(({ uid }) => uid !== 0).map(({ path }) => path)).toEqual(['/tmp', '/var/cache/mlcdn']);
    expect(entries.filter(({ mode }) => (mode & 0o6002) !== 0).map(({ path }) => path)).toEqual([]);
  });

  test('are native for one architecture: this one', () => {
    const machines = entries.filter(({ isFile }) => isFile).map(({ path }) => elfMachine(join(root, path)));
    expect(new Set(machines.filter((machine) => machine !== undefined))).toEqual(
      new Set([elfMachine(process.execPath)]),
    );
    expect(readdirSync(join(root, 'app/node_modules/onnxruntime-node/bin/napi-v6'))).toEqual(['linux']);
  });

  test('have one executable beside the loader of libraries, and of packages only what the service loads', () => {
    const executables = entries.filter(({ isFile, mode }) => isFile && (mode & 0o111) !== 0);
    const names = executables.map(({ path }) => path).filter((path) => !/\.so[.\d]*$|\.node$/.test(path));
    expect(names).toEqual(['/usr/local/bin/node']);
    expect(readdirSync(join(root, 'app/node_modules')).toSorted()).toEqual(['onnxruntime-common', 'onnxruntime-node']);
  });
});

describeImage('a container of the task definition', () => {
  const definition = taskContainer();
  const { ContainerPort: port } = definition.PortMappings[0] ?? { ContainerPort: 0 };
  const url = `http://127.0.0.1:${port}`;
  const variables = new Map(definition.Environment.map(({ Name, Value }) => [Name, Value]));
  const defaultModel = String(variables.get('DEFAULT_MODEL'));
  let bucket: TestBucket;
  let container: Container | undefined;

  beforeAll(async () => {
    bucket = await startBucket(String(variables.get('MODEL_BUCKET')));
    publish(bucket, defaultModel, tinyModel(2), tinyManifest('1', 2));
    publish(bucket, 'power', powerModel(1), {
      ...tinyManifest('1', 1),
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, -1] }],
      outputs: [{ name: 'power', datatype: 'FP32', shape: [-1, -1] }],
      golden: [],
    });
    const lower = lowerCaseModel('en_US.UTF-8');
    publish(bucket, 'lower', lower, {
      ...tinyManifest('1', 1),
      inputs: [{ name: 'words', datatype: 'BYTES', shape: [-1] }],
      outputs: [{ name: 'lower', datatype: 'BYTES', shape: [-1] }],
      golden: [],
    });
  });
  afterAll(() => bucket.stop());
  afterEach(async () => {
    await container?.remove();
    container = undefined;
  });

  async function start(hidden: readonly string[] = []): Promise<Container> {
    container = runContainer(
      bundle,
      definition,
      {
        AWS_ENDPOINT_URL: bucket.endpoint,
        AWS_ACCESS_KEY_ID: 'test',
        AWS_SECRET_ACCESS_KEY: 'test',
        // Nothing listens there: a tier that fails is a miss.
        REDIS_URL: 'rediss://127.0.0.1:6379',
        MODEL_WORKERS: '2',
      },
      hidden,
    );
    await healthy(container);
    return container;
  }

  async function healthy({ exited, log }: Container): Promise<void> {
    let ended = false;
    void exited.then(() => {
      ended = true;
    });
    for (;;) {
      if (ended) throw new Error(`the container ended: ${log()}`);
      const response = await fetch(`${url}/health`).catch(() => undefined);
      if (response?.ok) return;
      await sleep(50);
    }
  }

  const infer = (model: string, input: object) =>
    fetch(`${url}/v2/models/${model}/infer`, { method: 'POST', body: JSON.stringify({ inputs: [input] }) });
  const words = { name: 'words', datatype: 'BYTES', shape: [2], data: ['HELLO', 'ÄÖÜ'] };

  test('answers predictions as its user, without capabilities, and writes to its volumes alone', async () => {
    const running = await start();
    const prediction = await fetch(`${url}/predict`, { method: 'POST', body: '{"features":[1,2,3]}' });
    expect(await prediction.json()).toMatchObject({ prediction: 12, cached: false });
    const state = JSON.parse(await running.exec('node', '-e', LOOK_AROUND)) as Record<string, unknown>;
    expect(state).toEqual({
      user: definition.User,
      effectiveCapabilities: '0000000000000000',
      // The image's own, since the task definition has no command.
      firstProcess: entryPoint(),
      ports: definition.PortMappings.map(({ ContainerPort }) => ContainerPort),
      writes: {
        '/app': 'EROFS',
        '/etc': 'EROFS',
        '/usr/lib': 'EROFS',
        '/tmp': 'written',
        '/var/cache/mlcdn': 'written',
      },
    });
    expect(await running.exec('node', '-e', 'console.log(fs.readdirSync("/var/cache/mlcdn").length > 0)')).toBe(
      'true\n',
    );
  });

  test('passes the health check of the image', async () => {
    const [, check = '[]'] = /^HEALTHCHECK[^[]*(\[.*\])$/m.exec(dockerfile()) ?? [];
    const command = JSON.parse(check) as string[];
    const running = await start();
    await running.exec(...command);
    // A port on which nothing listens.
    const [program = '', option = '', code = ''] = command;
    const elsewhere = running.exec(program, option, `process.env.PORT = '1'; ${code}`);
    await expect(elsewhere).rejects.toMatchObject({ code: 1 });
  });

  test('as first process ends with 0 on its stop signal, and leaves no zombie of workers that were killed', async () => {
    const running = await start();
    const square = { name: 'x', datatype: 'FP32', shape: [2, 2], data: [1, 0, 0, 1] };
    while ((await infer('power', square)).status !== 200) await sleep(50);
    while ((running.log().match(/model version activated/g) ?? []).length < MODELS) await sleep(50);
    const killed = JSON.parse(await running.exec('node', '-e', KILL_WORKERS)) as number[];
    expect(killed.length).toBeGreaterThan(0);
    // New ones take their place.
    while ((await infer('power', square)).status !== 200) await sleep(50);
    const [, stopSignal = ''] = /^STOPSIGNAL (\S+)$/m.exec(dockerfile()) ?? [];
    await running.signal(stopSignal);
    expect(await running.exited).toBe(0);
  });

  test('has the locale that text models ask for', async () => {
    await start();
    const answer = await infer('lower', words);
    expect(await answer.json()).toMatchObject({ outputs: [{ data: ['hello', 'äöü'] }] });
  });

  test('refuses text models without that locale, and serves the others', async () => {
    const running = await start(['/usr/lib/locale']);
    while (!/locale/i.test(running.log())) await sleep(50);
    expect((await infer('lower', words)).status).not.toBe(200);
    const prediction = await fetch(`${url}/predict`, { method: 'POST', body: '{"features":[1,2,3]}' });
    expect(await prediction.json()).toMatchObject({ prediction: 12 });
  });
});

/** Prints what a process of the container is and where it can write. */
const LOOK_AROUND = `
  const status = fs.readFileSync('/proc/self/status', 'utf8');
  // Listening sockets (state 0A) of the first process, by their inodes (proc(5)).
  const inodes = fs.readdirSync('/proc/1/fd').map((fd) => {
    try { return /^socket:.(\\d+)/.exec(fs.readlinkSync('/proc/1/fd/' + fd))?.[1]; } catch { return undefined; }
  });
  const sockets = ['tcp', 'tcp6'].flatMap((kind) => fs.readFileSync('/proc/1/net/' + kind, 'utf8').split('\\n').slice(1));
  const listening = sockets.map((line) => line.trim().split(/\\s+/)).filter((fields) => fields[3] === '0A');
  const ports = listening.filter((fields) => inodes.includes(fields[9])).map((fields) => parseInt(fields[1].split(':')[1], 16));
  const write = (directory) => {
    try { fs.writeFileSync(directory + '/probe', ''); fs.rmSync(directory + '/probe'); return 'written'; }
    catch ({ code }) { return code; }
  };
  console.log(JSON.stringify({
    user: process.getuid() + ':' + process.getgid(),
    effectiveCapabilities: /CapEff:\\s*(\\w+)/.exec(status)[1],
    firstProcess: fs.readFileSync('/proc/1/cmdline', 'utf8').split('\\0').slice(0, -1),
    ports,
    writes: Object.fromEntries(['/app', '/etc', '/usr/lib', '/tmp', '/var/cache/mlcdn'].map((d) => [d, write(d)])),
  }));
`;

/** Kills the children of the first process, waits until none of them is one any more, and prints their ids. */
const KILL_WORKERS = `
  const parentOf = (pid) => {
    try { return fs.readFileSync('/proc/' + pid + '/stat', 'utf8').split(') ')[1].split(' ')[1]; } catch { return ''; }
  };
  const workers = () =>
    fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name) && parentOf(name) === '1').map(Number);
  const killed = workers();
  for (const pid of killed) process.kill(pid, 'SIGKILL');
  const look = () => {
    if (workers().some((pid) => killed.includes(pid))) setTimeout(look, 20);
    else console.log(JSON.stringify(killed));
  };
  look();
`;

function dockerfile(): string {
  return readFileSync(join(__dirname, '../../containers/edge/image/Dockerfile'), 'utf8');
}

function entryPoint(): string[] {
  const [, words = '[]'] = /^ENTRYPOINT (\[.*\])$/m.exec(dockerfile()) ?? [];
  return JSON.parse(words) as string[];
}

function taskContainer(): ContainerDefinition {
  const template = new SynthesizedEnvironment('local').template('edge-eu-west-1');
  const [task] = Object.values(template.findResources('AWS::ECS::TaskDefinition'));
  return task?.Properties.ContainerDefinitions[0] as ContainerDefinition;
}

function publish(bucket: TestBucket, model: string, onnx: Buffer, manifest: object): void {
  const sha256 = createHash('sha256').update(onnx).digest('hex');
  bucket.put(modelKey(model, '1'), onnx);
  bucket.put(manifestKey(model, '1'), JSON.stringify({ ...manifest, model, sha256, bytes: onnx.length }));
  bucket.put(
    channelKey(model),
    JSON.stringify({ schemaVersion: 1, model, production: '1', revision: 1, updatedAt: '2026-01-01T00:00:00.000Z' }),
  );
}
