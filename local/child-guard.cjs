/**
 * Preloaded into every Node process the local runner starts (`node --require`): when the runner dies without having
 * ended its children, they end themselves, so that nothing is left running. A process whose parent dies gets another
 * parent, which POSIX makes visible as a changed parent process id.
 */
'use strict';
const { isMainThread } = require('node:worker_threads');

const CHECK_MS = 500;
const GRACE_MS = 5_000;

if (isMainThread) {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    setTimeout(() => process.exit(1), GRACE_MS).unref();
    process.kill(process.pid, 'SIGTERM');
  }, CHECK_MS);
  watch.unref();
}
