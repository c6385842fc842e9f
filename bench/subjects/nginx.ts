import { mkdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { freePort, startProcess, untilListening } from '../support/processes';
import type { Start } from '.';

/** nginx with its cache in a folder, one worker, access log off. */
export const startNginx: Start = async (folder, options) => {
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  await mkdir(join(folder, 'temp'));
  await writeFile(file, configuration(folder, port, options.originPort));
  const started = startProcess('nginx', ['-p', folder, '-c', file, '-e', 'stderr', '-g', 'daemon off;'], {
    core: options.core,
  });
  await untilListening(port, started);
  return { port, started };
};

function configuration(folder: string, port: number, originPort: number): string {
  // Only root may say whose the workers are, and would else hand them to a user who cannot write here.
  const user = userInfo().uid === 0 ? 'user root;' : '';
  return `${user}
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 2048; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path ${folder}/temp/body;
  proxy_temp_path ${folder}/temp/proxy;
  fastcgi_temp_path ${folder}/temp/fastcgi;
  uwsgi_temp_path ${folder}/temp/uwsgi;
  scgi_temp_path ${folder}/temp/scgi;
  proxy_cache_path ${folder}/cache levels=1:2 keys_zone=bench:8m max_size=1000m inactive=600m;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${originPort};
      proxy_cache bench;
      proxy_cache_revalidate on;
      proxy_http_version 1.1;
    }
  }
}
`;
}
