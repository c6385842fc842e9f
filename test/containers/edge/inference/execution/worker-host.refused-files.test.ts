import { execFileSync } from 'node:child_process';
import { closeSync, rmSync } from 'node:fs';
import { RefusedModel } from '../../../../../containers/edge/inference/refused-model';
import { kill, LIMITS, modelFile, openForWriting, pathOf, row, startHost, tiny, until } from './harness';

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
