import { execFileSync } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { RefusedModel } from '../../../../../containers/edge/inference/refused-model';
import type { Tensor } from '../../../../../containers/edge/inference/tensors';
import { encodeOnnx } from '../../../../../models/onnx/writer';
import { identityModel } from '../../../../support/identity-model';
import { descendantsOf, stillRunning } from '../../../../support/processes';
import { powerModel, tinyModel } from '../../../../support/tiny-models';
import { ENDLESS, LIMITS, matrix, modelFile, pathOf, row, startHost, until, workerPids } from './harness';

const tiny = () => modelFile('tiny', tinyModel(2));
const power = () => modelFile('power', powerModel(300));

test('a model runs in a worker as its signature says', async () => {
  const host = startHost(1);
  const session = await host.open(tiny());
  expect(session).toMatchObject({
    slots: 1,
    inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 3] }],
    outputs: [{ name: 'score', datatype: 'FP32', shape: [-1, 1] }],
  });
  const { outputs, computeMs, inputMs, outputMs } = await session.run([row(1, 2, 3)]);
  expect(outputs).toEqual([{ name: 'score', datatype: 'FP32', shape: [1, 1], data: Float32Array.of(12) }]);
  for (const ms of [computeMs, inputMs, outputMs]) expect(ms).toBeGreaterThan(0);
});

test('many runs of several models at once are each answered with their own', async () => {
  const host = startHost(2);
  const sessions = await Promise.all([2, 3, 5].map((f) => host.open(modelFile(`tiny${f}`, tinyModel(f)))));
  const answers = await Promise.all(
    Array.from({ length: 300 }, async (_, i) => {
      const result = await sessions[i % 3]?.run([row(i, 0, 0)]);
      return result?.outputs[0]?.data[0];
    }),
  );
  expect(answers).toEqual(Array.from({ length: 300 }, (_, i) => i * ([2, 3, 5][i % 3] ?? 0)));
});

test('a tensor larger than the sockets can hold goes and comes back', async () => {
  const session = await startHost(1).open(modelFile('square', powerModel(1)));
  const identity = matrix(700);
  for (let i = 0; i < 700; i += 1) (identity.data as Float32Array)[i * 701] = 1;
  expect((await session.run([identity])).outputs[0]?.data).toEqual(identity.data);
});

test.each([
  ['FP16', Uint16Array.of(0x3c00, 0x7e00)],
  ['FP64', Float64Array.of(0.1, -0)],
  ['INT8', Int8Array.of(-128, 127)],
  ['UINT32', Uint32Array.of(0, 2 ** 32 - 1)],
  ['INT64', BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)],
  ['UINT64', BigUint64Array.of(0n, 2n ** 64n - 1n)],
  ['BOOL', Uint8Array.of(0, 1)],
  ['BYTES', ['', 'gr\u00fc\u00df dich \u{1f44b}']],
] as const)('%s goes through a worker and ONNX Runtime unchanged', async (datatype, data) => {
  const session = await startHost(1).open(modelFile(datatype, identityModel(datatype, ['n'])));
  const { outputs } = await session.run([{ name: 'x', datatype, shape: [2], data }]);
  expect(outputs).toEqual([{ name: 'y', datatype, shape: [2], data }]);
});

test('what a model throws rejects its run alone', async () => {
  const session = await startHost(1).open(tiny());
  const wrong = { ...row(1, 2, 3), shape: [3, 1] };
  await expect(session.run([wrong])).rejects.toMatchObject({
    code: 'inference_failed',
    message: expect.stringContaining('model tiny version 1: '),
  });
  await expect(session.run([row(1, 0, 0)])).resolves.toMatchObject({ outputs: [{ data: Float32Array.of(2) }] });
});

describe('files that must not be served', () => {
  test('no ONNX model', async () => {
    const opened = startHost(1).open(modelFile('text', Buffer.from('no model')));
    await expect(opened).rejects.toThrow(RefusedModel);
    await expect(opened).rejects.toThrow('ONNX Runtime cannot load the file');
  });

  test('other bytes than those meant', async () => {
    const opened = startHost(1).open({ ...tiny(), sha256: '0'.repeat(64) });
    await expect(opened).rejects.toThrow(RefusedModel);
    await expect(opened).rejects.toThrow(`should have SHA-256 ${'0'.repeat(64)}, got`);
  });

  test('a file that is not there may come yet', async () => {
    const opened = startHost(1).open({ ...tiny(), path: pathOf('absent') });
    await expect(opened).rejects.toThrow('cannot be read');
    await expect(opened).rejects.not.toThrow(RefusedModel);
  });

  test('a load that does not end is given up, and others go on', async () => {
    const host = startHost(2, { limits: { ...LIMITS, loadMs: 2_000 } });
    const fifo = pathOf('fifo');
    execFileSync('mkfifo', [fifo]);
    const opened = host.open({ ...tiny(), path: fifo });
    const other = await host.open(tiny());
    await expect(opened).rejects.toThrow(RefusedModel);
    await expect(opened).rejects.toThrow('did not load within 2 s');
    await expect(other.run([row(1, 0, 0)])).resolves.toBeDefined();
    rmSync(fifo);
  });

  test.each(['SIGKILL', 'SIGSEGV'] as const)('a load that ends its worker by %s', async (signal) => {
    const host = startHost(1);
    const fifo = pathOf(signal);
    execFileSync('mkfifo', [fifo]);
    const opened = host.open({ ...tiny(), path: fifo });
    let writer: number | undefined;
    await until(() => {
      writer = openForWriting(fifo);
      return writer !== undefined;
    });
    await kill(signal);
    await expect(opened).rejects.toThrow(RefusedModel);
    await expect(opened).rejects.toThrow(signal);
    closeSync(writer ?? 0);
  });
});

describe('a worker that dies', () => {
  test('loses the run in flight alone, and is replaced', async () => {
    const host = startHost(1);
    const [slow, fast] = [await host.open(power()), await host.open(tiny())];
    const lost = slow.run([ENDLESS]);
    const waiting = fast.run([row(1, 0, 0)]);
    await killRunning('SIGKILL');
    await expect(lost).rejects.toMatchObject({
      code: 'inference_failed',
      status: 500,
      message: expect.stringContaining('model power version 1: its worker was killed (SIGKILL)'),
    });
    await expect(waiting).resolves.toMatchObject({ outputs: [{ data: Float32Array.of(2) }] });
    expect(host.counts()).toMatchObject({ deaths: { SIGKILL: 1 }, restarts: 1, kills: 0 });
  });

  test.each([1, 2])('before it gets its run: another of %d takes it', async (workers) => {
    const host = startHost(workers);
    const session = await host.open(tiny());
    await until(() => host.counts().workers.ready === workers);
    for (const pid of (await workerPids()).slice(0, 1)) {
      process.kill(pid, 'SIGKILL');
      // Without a turn of the event loop, in which its end would be noticed.
      while (!/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1')));
    }
    const runs = await Promise.all(Array.from({ length: 2 * workers }, (_, i) => session.run([row(i, 0, 0)])));
    expect(runs.map(({ outputs }) => outputs[0]?.data[0])).toEqual(runs.map((_, i) => 2 * i));
    expect(host.counts()).toMatchObject({ deaths: { SIGKILL: 1 }, quarantined: [] });
  });

  // An integer division that the processor of x86-64 traps and ONNX Runtime does not guard; others give a number.
  (process.arch === 'x64' ? test : test.skip)('may die of the model itself', async () => {
    const host = startHost(1);
    const value = (name: string) => ({ name, dims: ['n'], elementType: 'INT32' as const });
    const onnx = encodeOnnx({
      name: 'quotient',
      description: 'a / b',
      version: 1,
      inputs: [value('a'), value('b')],
      outputs: [value('quotient')],
      initializers: [],
      nodes: [{ operator: 'Div', inputs: ['a', 'b'], output: 'quotient' }],
    });
    const session = await host.open(modelFile('quotient', onnx));
    const divide = (a: number, b: number) =>
      session.run([integer('a', a), integer('b', b)]).then(({ outputs }) => outputs[0]?.data[0]);
    expect(await divide(7, 2)).toBe(3);
    await expect(divide(-(2 ** 31), -1)).rejects.toMatchObject({
      code: 'inference_failed',
      message: 'model quotient version 1: its worker crashed (SIGFPE)',
    });
    expect(await divide(9, 3)).toBe(3);
  });

  test('is told apart by its signal', async () => {
    const host = startHost(1);
    const lost = (await host.open(power())).run([ENDLESS]);
    await killRunning('SIGSEGV');
    await expect(lost).rejects.toThrow('its worker crashed (SIGSEGV)');
  });

  test('does not come back with another file under the same model', async () => {
    const host = startHost(1);
    const [slow, fast] = [await host.open(power()), await host.open(tiny())];
    const lost = slow.run([ENDLESS]);
    writeFileSync(pathOf('tiny.onnx'), tinyModel(3));
    await killRunning('SIGKILL');
    await expect(lost).rejects.toThrow('SIGKILL');
    await expect(fast.run([row(1, 0, 0)])).rejects.toThrow('should have SHA-256');
  });

  test('again and again, by the same model, has it quarantined while others run', async () => {
    const host = startHost(1);
    const [slow, fast] = [await host.open(power()), await host.open(tiny())];
    for (let i = 0; i < 3; i += 1) {
      await until(() => host.counts().workers.ready === 1);
      // Loaded first, so that the signal does not find a worker that has not begun.
      await slow.run([matrix(1)]);
      const lost = slow.run([ENDLESS]);
      await killRunning('SIGKILL');
      await expect(lost).rejects.toThrow('SIGKILL');
    }
    expect(host.counts().quarantined).toEqual(['power@1']);
    await expect(slow.run([matrix(1)])).rejects.toMatchObject({
      code: 'model_not_ready',
      status: 503,
      message: expect.stringMatching(/model power version 1: quarantined.*SIGKILL.*tried again in 60 s/),
    });
    await expect(fast.run([row(1, 0, 0)])).resolves.toBeDefined();
  });

  test('leaves quarantine by a run that goes well', async () => {
    const host = startHost(1, { quarantine: { strikes: 1, windowMs: 60_000, firstMs: 1, longestMs: 1 } });
    const slow = await host.open(power());
    const lost = slow.run([ENDLESS]);
    await killRunning('SIGKILL');
    await expect(lost).rejects.toThrow('SIGKILL');
    await until(() =>
      slow.run([matrix(1)]).then(
        () => true,
        () => false,
      ),
    );
    expect(host.counts().quarantined).toEqual([]);
  });
});

describe('time', () => {
  test('a run past its deadline is answered, and its worker replaced when it does not come back', async () => {
    const host = startHost(1, { limits: { ...LIMITS, graceMs: 1 } });
    const [slow, fast] = [await host.open(power()), await host.open(tiny())];
    const late = slow.run([ENDLESS], { deadline: performance.now() + 50 });
    await expect(late).rejects.toMatchObject({ code: 'deadline_exceeded', status: 504 });
    await expect(fast.run([row(1, 0, 0)])).resolves.toBeDefined();
    expect(host.counts()).toMatchObject({ timeouts: { request: 1, host: 0 }, kills: 1, deaths: {}, quarantined: [] });
  });

  test('a worker that comes back within the grace is kept', async () => {
    const host = startHost(1);
    const slow = await host.open(modelFile('square', powerModel(40)));
    const pids = await workerPids();
    const late = slow.run([matrix(600)], { deadline: performance.now() + 1 });
    await expect(late).rejects.toMatchObject({ code: 'deadline_exceeded' });
    await slow.run([matrix(1)]);
    expect(await workerPids()).toEqual(pids);
    expect(host.counts()).toMatchObject({ timeouts: { request: 1, host: 0 }, kills: 0, restarts: 0 });
  });

  test('no run takes longer than the host allows, and a model whose runs do is quarantined', async () => {
    const limits = { ...LIMITS, runMs: 100, graceMs: 1 };
    const quarantine = { strikes: 1, windowMs: 60_000, firstMs: 60_000, longestMs: 60_000 };
    const host = startHost(1, { limits, quarantine });
    const slow = await host.open(power());
    await expect(slow.run([ENDLESS])).rejects.toMatchObject({
      code: 'deadline_exceeded',
      message: expect.stringContaining('not answered after 0.1 s'),
    });
    await until(() => host.counts().kills === 1);
    expect(host.counts()).toMatchObject({ timeouts: { request: 0, host: 1 }, quarantined: ['power@1'] });
  });

  test('a run whose deadline passes while it waits is never given to a worker', async () => {
    const host = startHost(1);
    const [slow, fast] = [await host.open(power()), await host.open(tiny())];
    const lost = rejection(slow.run([ENDLESS]));
    await expect(fast.run([row(1, 0, 0)], { deadline: performance.now() + 20 })).rejects.toMatchObject({
      code: 'deadline_exceeded',
    });
    expect(host.counts().waiting).toBe(0);
    await host.close();
    expect(await lost).toMatchObject({ code: 'model_not_ready' });
  });

  test('a run aborted before it began is rejected with the reason', async () => {
    const host = startHost(1);
    const [slow, fast] = [await host.open(power()), await host.open(tiny())];
    const reason = new Error('the client went away');
    await expect(fast.run([row(1, 0, 0)], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const lost = rejection(slow.run([ENDLESS]));
    const client = new AbortController();
    const waiting = fast.run([row(1, 0, 0)], { signal: client.signal });
    client.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(host.counts().waiting).toBe(0);
    await host.close();
    expect(await lost).toMatchObject({ code: 'model_not_ready' });
  });
});

describe('letting go', () => {
  test('a model is released after its runs', async () => {
    const session = await startHost(1).open(tiny());
    const run = session.run([row(1, 0, 0)]);
    await session.release();
    await expect(run).resolves.toMatchObject({ outputs: [{ data: Float32Array.of(2) }] });
    await expect(session.run([row(1, 0, 0)])).rejects.toThrow('has been released');
  });

  test('closing rejects what is under way or waits, and leaves no process', async () => {
    const host = startHost(2);
    const slow = await host.open(power());
    const started = await descendantsOf(process.pid);
    const runs = Array.from({ length: 4 }, () => slow.run([ENDLESS]));
    const settled = Promise.allSettled(runs);
    await host.close();
    for (const run of await settled)
      expect(run).toMatchObject({ status: 'rejected', reason: { code: 'model_not_ready' } });
    expect(await stillRunning(started.filter(({ command }) => command.includes('worker.js')))).toEqual([]);
    await expect(host.open(tiny())).rejects.toMatchObject({ code: 'model_not_ready' });
  });

  test('workers end when no model is open, and are back for the next one', async () => {
    const host = startHost(2, { idleMs: 1 });
    await (await host.open(tiny())).release();
    await until(() => host.counts().workers.ready === 0);
    const session = await host.open(tiny());
    await expect(session.run([row(1, 0, 0)])).resolves.toBeDefined();
    expect(host.counts()).toMatchObject({ deaths: {}, restarts: 0 });
  });
});

test('a model is where it was opened, and in every worker once it is spread', async () => {
  const host = startHost(2);
  const session = await host.open(tiny());
  await until(() => host.counts().workers.ready === 2);
  const path = pathOf('tiny.onnx');
  rmSync(path);
  execFileSync('mkfifo', [path]);
  await session.run([row(1, 0, 0)]);
  expect(openForWriting(path)).toBeUndefined();
  session.spread?.();
  let writer: number | undefined;
  await until(() => {
    writer = openForWriting(path);
    return writer !== undefined;
  });
  closeSync(writer ?? 0);
  await expect(session.run([row(1, 0, 0)])).resolves.toBeDefined();
  rmSync(path);
});

test('the kernel is told to take a worker first when memory runs out', async () => {
  await startHost(1).open(tiny());
  for (const pid of await workerPids()) expect(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8')).toBe('1000\n');
  expect.hasAssertions();
});

test('a worker that cannot be started refuses no model for good', async () => {
  const host = startHost(1, { command: { program: '/nowhere/node', args: [] } });
  const opened = host.open(tiny());
  await expect(opened).rejects.toThrow('could not be started: spawn /nowhere/node ENOENT');
  await expect(opened).rejects.not.toThrow(RefusedModel);
});

function integer(name: string, value: number): Tensor {
  return { name, datatype: 'INT32', shape: [1], data: Int32Array.of(value) };
}

/** A FIFO can be opened for writing, without waiting, once somebody reads it. */
function openForWriting(fifo: string): number | undefined {
  try {
    return openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}

/** What a run that is looked at later is rejected with. */
function rejection(run: Promise<unknown>): Promise<unknown> {
  return run.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** As `kill`, once a worker has its run: it has worked for longer than reading one takes. */
async function killRunning(signal: NodeJS.Signals): Promise<void> {
  const pids = await workerPids();
  const before = new Map(pids.map((pid) => [pid, cpuTicks(pid)]));
  await until(() => pids.some((pid) => cpuTicks(pid) >= (before.get(pid) ?? 0) + 20));
  await kill(signal);
}

/** CPU time of a process, hundredths of a second; 0 when it is gone. */
function cpuTicks(pid: number): number {
  const path = `/proc/${pid}/stat`;
  const fields = existsSync(path) ? readFileSync(path, 'latin1').split(') ')[1]?.split(' ') : undefined;
  return fields === undefined ? 0 : Number(fields[11]) + Number(fields[12]);
}

/** Ends every worker of the test, as the kernel or a crash would. */
async function kill(signal: NodeJS.Signals): Promise<void> {
  for (const pid of await workerPids()) process.kill(pid, signal);
}
