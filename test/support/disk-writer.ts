import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { openBodyStore } from '../../containers/edge/cache/body-store';
import { DiskStore } from '../../containers/edge/cache/disk-store';
import { bodyOf, entryContent } from './disk-content';

/** Writes entries and bodies as fast as it can until it is killed; says on standard output what has been stored. */
async function main(): Promise<void> {
  const [directory = '', round = ''] = process.argv.slice(2);
  const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const entries = await DiskStore.open(directory, 4 * 1024 * 1024, silent);
  const bodies = await openBodyStore(join(directory, 'bodies'), 8 * 1024 * 1024, silent);
  process.stdout.write('started\n');

  const writeEntries = async (): Promise<never> => {
    for (let i = 0; ; i++) {
      const writes = Array.from({ length: 20 }, (_, k) =>
        entries.set(entryContent(`k${(i * 20 + k) % 500}`, `${round}-${i}`)),
      );
      await Promise.all(writes);
    }
  };
  const writeBodies = async (): Promise<never> => {
    for (;;) {
      const seed = randomBytes(4).toString('hex');
      const content = bodyOf(seed);
      const writer = await bodies.create(content.length);
      for (let at = 0; at < content.length; at += 50_000) await writer.write(content.subarray(at, at + 50_000));
      process.stdout.write(`body ${seed} ${await writer.commit()}\n`);
    }
  };
  await Promise.all([writeEntries(), writeBodies(), writeBodies()]);
}

void main();
