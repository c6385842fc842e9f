import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { localCommand, readImageStart } from '../../../local/ecs/dockerfile';
import { temporaryDirectory } from '../support/temporary-directory';

const directory = temporaryDirectory();

function start(...lines: string[]) {
  writeFileSync(join(directory, 'Dockerfile'), lines.join('\n'));
  return readImageStart(directory);
}

describe('readImageStart', () => {
  test('takes the last stage, both forms, continuations and comments', () => {
    expect(
      start(
        'FROM a AS build',
        'ENV LOST=1',
        'CMD ["lost"]',
        'FROM b',
        '# CMD ["comment"]',
        'WORKDIR /app',
        'ENV A=1 B="x y" \\',
        '  C=3',
        'ENV D four five',
        'ENTRYPOINT ["node"]',
        'CMD ["server.js"]',
      ),
    ).toEqual({
      entrypoint: ['node'],
      command: ['server.js'],
      environment: { A: '1', B: 'x y', C: '3', D: 'four five' },
      workingDirectory: '/app',
    });
    expect(start('FROM a', 'CMD node server.js').command).toEqual(['/bin/sh', '-c', 'node server.js']);
  });

  test('a later entry point drops an earlier command, as in Docker', () => {
    expect(start('FROM a', 'CMD ["x"]', 'ENTRYPOINT ["y"]')).toMatchObject({ entrypoint: ['y'], command: [] });
  });

  test('an image that starts nothing is refused', () => {
    expect(() => start('FROM a', 'COPY . .')).toThrow('neither ENTRYPOINT nor CMD');
  });
});

test('localCommand leads the image Node and working directory to this machine', () => {
  expect(localCommand(['/usr/local/bin/node', '/app/server.js', '/etc/x'], '/app', '/context')).toEqual([
    process.execPath,
    '/context/server.js',
    '/etc/x',
  ]);
});
