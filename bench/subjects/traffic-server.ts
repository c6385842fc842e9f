import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, startProcess, untilListening } from '../support/processes';
import type { Start } from '.';

/** Where Debian puts Apache Traffic Server. */
export const TRAFFIC_SERVER = '/usr/bin/traffic_server';

/** Apache Traffic Server in a run root of its own, with the settings that the public suite's own container gives it. */
export const startTrafficServer: Start = async (folder, options) => {
  const port = await freePort();
  const work = join(folder, 'work');
  const configuration = join(folder, 'etc');
  await Promise.all([work, configuration].map((path) => mkdir(path)));
  await Promise.all([
    writeFile(join(folder, 'runroot.yaml'), layout(work, configuration)),
    writeFile(join(configuration, 'records.config'), records(port)),
    writeFile(join(configuration, 'remap.config'), `map / http://127.0.0.1:${options.originPort}/\n`),
    writeFile(join(configuration, 'storage.config'), `${work} 128M\n`),
    writeFile(join(configuration, 'ip_allow.yaml'), ALLOW_OWN_MACHINE),
  ]);
  const started = startProcess(TRAFFIC_SERVER, [`--run-root=${join(folder, 'runroot.yaml')}`], { core: options.core });
  await untilListening(port, started);
  return { port, started };
};

const ALLOW_OWN_MACHINE = `ip_allow:
  - apply: in
    ip_addrs: 127.0.0.1
    action: allow
    methods: ALL
`;

/** Debian's layout with everything that is written or configured in folders of this run. */
function layout(work: string, configuration: string): string {
  const installed = {
    prefix: '/usr',
    exec_prefix: '/usr',
    bindir: '/usr/bin',
    sbindir: '/usr/sbin',
    includedir: '/usr/include',
    libdir: '/usr/lib',
    libexecdir: '/usr/lib/trafficserver/modules',
    mandir: '/usr/share/man',
  };
  const own = { sysconfdir: configuration, ...Object.fromEntries(WRITTEN.map((name) => [name, work])) };
  return Object.entries({ ...installed, ...own })
    .map(([name, path]) => `${name}: ${path}\n`)
    .join('');
}

const WRITTEN = ['datadir', 'localstatedir', 'runtimedir', 'logdir', 'cachedir', 'infodir', 'localedir'];

function records(port: number): string {
  const settings = {
    'admin.user_id': 'STRING #-1',
    'http.server_ports': `STRING ${port}:ip-in=127.0.0.1`,
    'exec_thread.autoconfig': 'INT 0',
    'exec_thread.limit': 'INT 2',
    'http.insert_response_via_str': 'INT 0',
    'http.cache.ignore_client_cc_max_age': 'INT 1',
    'http.cache.required_headers': 'INT 2',
    'http.negative_caching_enabled': 'INT 0',
    'http.cache.when_to_revalidate': 'INT 0',
    'url_remap.pristine_host_hdr': 'INT 1',
    'reverse_proxy.enabled': 'INT 1',
    'log.logging_enabled': 'INT 0',
  };
  return Object.entries(settings)
    .map(([name, value]) => `CONFIG proxy.config.${name} ${value}\n`)
    .join('');
}
