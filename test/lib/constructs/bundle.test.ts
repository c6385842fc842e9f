import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { BUILD_DIRECTORY, writeIfChanged } from '../../../lib/constructs/bundle';

const directory = join(BUILD_DIRECTORY, 'test', `bundle-${process.pid}`);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Notes every name that is ever to be seen in a directory, until it is told to stop. */
const WATCH = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { readdirSync } = require('node:fs');
  const { directory, stop } = workerData;
  const seen = new Set();
  parentPort.postMessage('ready');
  while (Atomics.load(stop, 0) === 0) for (const name of readdirSync(directory)) seen.add(name);
  parentPort.postMessage([...seen]);
`;

test('whoever reads the directory of a bundle meanwhile sees nothing but the bundle', async () => {
  mkdirSync(directory, { recursive: true });
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const watcher = new Worker(WATCH, { eval: true, workerData: { directory, stop } });
  await once(watcher, 'message');
  for (let version = 0; version < 15; version += 1) {
    writeIfChanged(join(directory, 'index.js'), `${version}`.repeat(500_000));
  }
  Atomics.store(stop, 0, 1);
  const [seen] = await once(watcher, 'message');
  expect(seen).toEqual(['index.js']);
  expect(readdirSync(directory)).toEqual(['index.js']);
  expect(readFileSync(join(directory, 'index.js'), 'utf8')).toBe('14'.repeat(500_000));
});
