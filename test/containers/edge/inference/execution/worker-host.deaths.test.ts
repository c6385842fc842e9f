import { readFileSync, writeFileSync } from 'node:fs';
import type { Tensor } from '../../../../../containers/edge/inference/tensors';
import { encodeOnnx } from '../../../../../models/onnx/writer';
import { tinyModel } from '../../../../support/tiny-models';
import {
  ENDLESS,
  killRunning,
  matrix,
  modelFile,
  pathOf,
  power,
  row,
  startHost,
  tiny,
  until,
  workerPids,
} from './harness';

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

function integer(name: string, value: number): Tensor {
  return { name, datatype: 'INT32', shape: [1], data: Int32Array.of(value) };
}
