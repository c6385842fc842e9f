import { ownWorkerCommand, workerEnvironment } from '../../../../../containers/edge/inference/execution/worker-command';

const own = { argv: process.argv, execArgv: process.execArgv };
afterEach(() => Object.assign(process, own));

test.each([
  ['/app/server.js', '/app/worker.js'],
  ['/project/containers/edge/main.ts', '/project/containers/edge/worker.ts'],
])('the worker of %s lies beside it, under the same loaders but no debugger', (main, worker) => {
  process.argv = ['node', main];
  process.execArgv = ['--import', 'loader', '--inspect=9229', '--inspect-brk'];
  expect(ownWorkerCommand()).toEqual({
    program: process.execPath,
    args: ['--import', 'loader', '--expose-gc', worker],
  });
});

test('a worker gets the locale and the loaders, but no credentials', () => {
  const environment = {
    PATH: '/bin',
    LANG: 'en_US.UTF-8',
    LC_ALL: 'C',
    NODE_OPTIONS: '--require guard',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2/credentials',
    REDIS_URL: 'redis://127.0.0.1',
    XPATH: '/bin',
  };
  const { PATH, LANG, LC_ALL, NODE_OPTIONS } = environment;
  expect(workerEnvironment(environment)).toEqual({ PATH, LANG, LC_ALL, NODE_OPTIONS });
});
