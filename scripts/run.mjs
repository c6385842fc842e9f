// Entry of `npm start` and `npm test`: sets up what the project needs on a bare machine, then runs it in this process.
// Plain JavaScript, Node's own modules only: nothing is installed when it starts.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, realpathSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const MIN_NODE = [20, 18, 1];
const MIN_FREE_BYTES = 1.5e9;
const REDIS_HELP =
  'redis-server is missing. Install it and run the command again: ' +
  'Debian/Ubuntu `sudo apt-get install redis-server`, Fedora `sudo dnf install redis`, macOS `brew install redis`.';

const [task, ...args] = process.argv.slice(2);

function fail(sentence) {
  process.stderr.write(`mlcdn: ${sentence}\n`);
  process.exit(1);
}

function say(sentence) {
  process.stderr.write(`mlcdn: ${sentence}\n`);
}

function requireNode() {
  const have = process.versions.node.split('.').map(Number);
  const difference = MIN_NODE.map((want, i) => have[i] - want).find((d) => d !== 0) ?? 0;
  if (difference < 0) fail(`Node.js ${process.versions.node} is too old; install ${MIN_NODE.join('.')} or later.`);
}

function run(command, commandArgs, options = {}) {
  const result = spawnSync(command, commandArgs, { cwd: root, stdio: ['ignore', 2, 2], ...options });
  if (result.signal) process.exit(130);
  return result.status === 0;
}

function has(command) {
  return spawnSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' }).status === 0;
}

function linkTarget(link) {
  return existsSync(link) ? ` to ${realpathSync(link)}` : ' that leads nowhere';
}

function installDependencies() {
  const modules = join(root, 'node_modules');
  const marker = join(modules, '.mlcdn-installed');
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) return;
  // `npm ci` empties the folder first, and so what a link leads to, which belongs to another checkout.
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) {
    fail(
      `node_modules is a symbolic link${linkTarget(modules)} and does not hold what this checkout's package-lock.json asks for. Installing would empty the folder behind the link. Remove the link with \`rm node_modules\` and run the command again.`,
    );
  }
  const { bavail, bsize } = statfsSync(root);
  if (bavail * bsize < MIN_FREE_BYTES) {
    fail(
      `only ${Math.round((bavail * bsize) / 1e6)} MB are free here; the dependencies need ${MIN_FREE_BYTES / 1e6} MB. Free some space and run the command again.`,
    );
  }
  say('installing dependencies (once; about 800 MB, a minute or two) ...');
  rmSync(marker, { force: true });
  if (!run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])) {
    fail('`npm ci` failed; its message is above. Check the network and the disk, then run the command again.');
  }
  writeFileSync(marker, wanted);
}

function installRedis() {
  if (has('redis-server')) return;
  const isRoot = process.getuid?.() === 0;
  const privileged = isRoot ? [] : ['sudo', '-n'];
  const canInstall = has('apt-get') && (isRoot || spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0);
  if (!canInstall) fail(REDIS_HELP);
  say('installing redis-server with apt-get ...');
  // RUNLEVEL=1 keeps Debian from starting the system's own Redis: this project runs its own, on its own ports.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const apt = (...words) => {
    const [command, ...rest] = [
      ...privileged,
      'env',
      'DEBIAN_FRONTEND=noninteractive',
      'RUNLEVEL=1',
      'apt-get',
      '-q',
      ...words,
    ];
    return run(command, rest, { env });
  };
  if (!(apt('update') && apt('install', '-y', '--no-install-recommends', 'redis-server'))) fail(REDIS_HELP);
  if (!has('redis-server')) fail(REDIS_HELP);
}

const TASKS = {
  /** Runs the local CDN. */
  start(require) {
    process.argv = [process.argv[0], join(root, 'local', 'start.ts'), ...args];
    require('tsx/cjs');
    require(join(root, 'local', 'start.ts'));
  },
  /** Runs the tests; arguments go to jest. */
  test(require) {
    process.argv = [process.argv[0], require.resolve('jest/bin/jest'), '--rootDir', root, ...args];
    process.chdir(root);
    require('jest/bin/jest');
  },
};

if (!Object.hasOwn(TASKS, task))
  fail(`unknown task ${JSON.stringify(task)}; use one of: ${Object.keys(TASKS).join(', ')}.`);
requireNode();
installDependencies();
installRedis();
TASKS[task](createRequire(join(root, 'package.json')));
