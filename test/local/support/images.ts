import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A build context whose server tells about itself, keeps a counter on its volume and dies on request. */
export function serverImage(parent: string, code = SERVER): string {
  const directory = mkdtempSync(join(parent, 'image-'));
  mkdirSync(directory, { recursive: true });
  writeFileSync(
    join(directory, 'Dockerfile'),
    'FROM node:24 AS build\nCMD ["never"]\nFROM node:24\nENV FLAVOUR="plain vanilla" \\\n    MODE=image\nWORKDIR /app\nCOPY . .\nENTRYPOINT ["/usr/local/bin/node"]\nCMD ["/app/server.js"]\n',
  );
  writeFileSync(join(directory, 'server.js'), code);
  return directory;
}

const SERVER = `
const { createServer } = require('node:http');
const { appendFileSync, readFileSync } = require('node:fs');
const file = process.env.DISK_CACHE_DIR + '/starts';
appendFileSync(file, 'x');
const startedAt = performance.now();
createServer(async (request, response) => {
  if (request.url === '/crash') {
    // A container must have run for a moment to be restarted in place.
    const pause = Math.max(0, 1200 - (performance.now() - startedAt));
    response.once('close', () => setTimeout(() => process.exit(3), pause));
  }
  const metadata = await (await fetch(process.env.ECS_CONTAINER_METADATA_URI_V4 + '/task')).json();
  const starts = readFileSync(file, 'utf8').length;
  response.end(JSON.stringify({ pid: process.pid, starts, environment: process.env, metadata }));
}).listen(Number(process.env.PORT), process.env.HOST);
`;
