import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { serveLocally } from '../../../local/engine/http-server';
import { processIdentity } from '../../../local/engine/process-identity';
import { Processes } from '../../../local/engine/processes';
import { temporaryDirectory } from '../support/temporary-directory';

const directory = temporaryDirectory();
const ENVIRONMENT = { PATH: process.env.PATH ?? '/usr/bin:/bin' };
const IDLE = 'console.log("up"); setInterval(() => {}, 1000);';

let states = 0;
function processes(): { processes: Processes; pids: () => string[]; state: string } {
  states += 1;
  const state = join(directory, `state-${states}`);
  return { processes: new Processes(state), pids: () => readdirSync(join(state, 'pids')), state };
}

function node(code: string) {
  const logFile = join(directory, 'logs', 'node.log');
  return { command: process.execPath, args: ['-e', code], cwd: directory, env: ENVIRONMENT, logFile };
}

describe('Processes', () => {
  test('remember a process while it runs, log its output, forget it when it has ended', async () => {
    const { processes: started, pids } = processes();
    const child = started.start(node('console.log("hello"); console.error("oops");'));
    expect(pids()).toEqual([String(child.pid)]);
    expect(await child.exited).toEqual({ code: 0, signal: null });
    if (child.child.stdout && !child.child.stdout.closed) await once(child.child, 'close');
    expect(pids()).toEqual([]);
  });

  test('ask first, then force', async () => {
    const { processes: started } = processes();
    const polite = started.start(
      node('process.on("SIGTERM", () => process.exit(7)); console.log("up"); setInterval(() => {}, 1000)'),
    );
    await once(polite.child.stdout ?? polite.child, 'data');
    expect(await polite.stop(10_000)).toEqual({ code: 7, signal: null });
    const stubborn = started.start(node(`process.on("SIGTERM", () => {}); ${IDLE}`));
    await once(stubborn.child.stdout ?? stubborn.child, 'data');
    expect(await stubborn.stop(50)).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('are in a group each, which Ctrl-C at the terminal of this process does not reach', async () => {
    const { processes: started } = processes();
    const [one, other] = [started.start(node(IDLE)), started.start(node(IDLE))];
    await Promise.all([one, other].map(({ child }) => once(child.stdout ?? child, 'data')));
    try {
      process.kill(-(one.pid ?? 0), 'SIGINT');
      expect(await one.exited).toEqual({ code: null, signal: 'SIGINT' });
      expect(other.child.signalCode).toBeNull();
    } finally {
      await Promise.all([one, other].map((child) => child.stop(10_000)));
    }
  });

  test('a command that does not exist shows in its exit', async () => {
    const { processes: started, pids } = processes();
    const child = started.start({ ...node(''), command: 'no-such-program' });
    expect(await child.exited).toMatchObject({ code: null, error: { code: 'ENOENT' } });
    expect(pids()).toEqual([]);
  });

  test('end what a crashed run left, and nothing else', async () => {
    const { processes: later, pids, state } = processes();
    const [ours, stranger] = [0, 1].map(() => spawn(process.execPath, ['-e', IDLE], { env: ENVIRONMENT }));
    if (!ours || !stranger) throw new Error('two processes are needed');
    await Promise.all([ours, stranger].map((child) => once(child.stdout, 'data')));
    const record = (pid: number | undefined, identity: string) =>
      writeFileSync(join(state, 'pids', String(pid)), identity);
    record(ours.pid, processIdentity(ours.pid ?? 0) ?? '');
    record(stranger.pid, 'another process that once had this id');
    const ended = once(ours, 'exit');
    expect(await later.endLeftovers()).toEqual([ours.pid]);
    expect(await ended).toEqual([null, 'SIGTERM']);
    expect(stranger.exitCode).toBeNull();
    expect(stranger.signalCode).toBeNull();
    expect(pids()).toEqual([]);
    stranger.kill();
  });
});

test('a process is known again after it rewrote its command line, as servers do', async () => {
  const child = spawn(process.execPath, [
    '-e',
    "process.stdin.once('data', () => { process.title = 'renamed'; console.log('done'); })",
  ]);
  const before = processIdentity(child.pid ?? 0);
  child.stdin.write('go');
  await once(child.stdout, 'data');
  expect(processIdentity(child.pid ?? 0)).toBe(before);
  expect(before).toBeDefined();
  child.kill();
  await once(child, 'exit');
});

describe('preloaded modules', () => {
  const preload = (file: string) => ['--require', resolve(__dirname, '../../../local', file)];

  test('child-guard ends a process whose parent died', async () => {
    mkdirSync(directory, { recursive: true });
    const pidFile = join(directory, 'grandchild.pid');
    const grandchild = `require("fs").writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)); ${IDLE}`;
    const args = JSON.stringify([...preload('child-guard.cjs'), '-e', grandchild]);
    const parentCode = `require("child_process").spawn(process.execPath, ${args}, { stdio: "inherit" })`;
    const parent = spawn(process.execPath, ['-e', parentCode], {
      env: ENVIRONMENT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(parent.stdout, 'data');
    const pid = Number(readFileSync(pidFile, 'utf8'));
    expect(processIdentity(pid)).toBeDefined();
    // The pipe is shared with the grandchild, so it closes only when both have ended.
    const bothEnded = once(parent, 'close');
    parent.kill('SIGKILL');
    await bothEnded;
    expect(processIdentity(pid)).toBeUndefined();
  });

  test('loopback-names leads names below localhost to 127.0.0.1', async () => {
    const server = await serveLocally((request, response) => response.end(request.headers.host));
    const code = `fetch("http://000000000000.localhost:${server.port}/").then((r) => r.text()).then(console.log)`;
    const child = spawn(process.execPath, [...preload('loopback-names.cjs'), '-e', code], { env: ENVIRONMENT });
    const [output] = await once(child.stdout, 'data');
    await once(child, 'exit');
    await server.close();
    expect(String(output).trim()).toBe(`000000000000.localhost:${server.port}`);
  });
});

test('a port in use is one sentence that says what to do', async () => {
  const server = await serveLocally(() => {});
  await expect(serveLocally(() => {}, server.port)).rejects.toThrow(
    `port ${server.port} of 127.0.0.1 is in use: end the program that listens there or choose another port`,
  );
  await server.close();
});
