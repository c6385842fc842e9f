import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, startProcess, untilListening } from '../support/processes';
import type { Start } from '.';

/** Varnish as it comes, but without a lifetime of its own invention: the origin's headers decide. */
export const startVarnish: Start = async (folder, options) => {
  const port = await freePort();
  const file = join(folder, 'bench.vcl');
  await writeFile(file, `vcl 4.1;\nbackend default { .host = "127.0.0.1"; .port = "${options.originPort}"; }\n`);
  const parameters = ['default_ttl=0', 'default_grace=0', 'default_keep=3600'].flatMap((value) => ['-p', value]);
  const started = startProcess(
    'varnishd',
    [
      '-F',
      '-j',
      'none',
      '-n',
      join(folder, 'work'),
      '-a',
      `127.0.0.1:${port}`,
      '-f',
      file,
      ...parameters,
      '-s',
      'malloc,64M',
    ],
    { core: options.core },
  );
  await untilListening(port, started);
  return { port, started };
};
