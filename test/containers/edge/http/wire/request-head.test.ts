import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { RequestHead } from '../../../../../containers/edge/http/wire/request-head';
import { rawSocket } from '../../../../support/raw-http';

let server: Server;
let url: string;
let seen: IncomingMessage[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    seen.push(request);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

const read = (...lines: string[]) => RequestHead.parse(lines.join('\r\n'));

describe('a block of field lines', () => {
  it('gives names as they were sent and values without the space around them', () => {
    const head = read('Host: x', 'X-One:\t a b \t', 'empty:', 'Content-Length: 12');
    expect(head?.rawHeaders).toEqual(['Host', 'x', 'X-One', 'a b', 'empty', '', 'Content-Length', '12']);
    expect(head?.value('x-one')).toBe('a b');
    expect(head?.contentLength).toBe(12);
    expect(head?.fields()).toEqual({ host: 'x', 'x-one': 'a b', empty: '', 'content-length': '12' });
  });

  it('says when a field came in several lines', () => {
    const head = read('a: 1', 'A: 2');
    expect(head?.repeats).toBe(true);
    expect(head?.fields()).toBeUndefined();
  });

  it.each([
    ['a folded line', ['a: 1', ' 2']],
    ['a space before the colon', ['a : 1']],
    ['no colon', ['abc']],
    ['no name', [': b']],
    ['a bare line feed', ['a: 1\nb: 2']],
    ['a bare carriage return', ['a: 1\rb: 2']],
    ['a NUL', ['a: \0']],
    ['another framing', ['Transfer-Encoding: chunked']],
    ['a condition for the body', ['Expect: 100-continue']],
    ['another protocol', ['Upgrade: h2c']],
    ['a connection that is to close', ['Connection: close']],
    ['fields of the connection', ['Connection: keep-alive, x-secret']],
    ['two lengths', ['Content-Length: 3', 'content-length: 3']],
    ['two lengths in one', ['Content-Length: 3, 3']],
    ['a signed length', ['Content-Length: +3']],
    ['a length that is no number', ['Content-Length: 3x']],
    ['an empty length', ['Content-Length:']],
  ])('is left to the complete parser with %s', (_what, lines) => {
    expect(read('Host: x', ...lines)).toBeUndefined();
  });
});

describe('against the parser of Node', () => {
  const character = fc.constantFrom(...'abXY:; ,\t\r\n\0"\\=/-_\x7f\x80\xe9\xff'.split(''));
  const token = fc.string({ unit: fc.constantFrom(...'aB-_9!:. \t'.split('')), maxLength: 6 });
  const value = fc.string({ unit: character, maxLength: 8 });
  const line = fc
    .tuple(token, fc.constantFrom(':', ': ', ':\t', ''), value)
    .map(([name, colon, text]) => name + colon + text);

  it('whatever is read here, Node reads as the same fields', async () => {
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 4 }), async (lines) => {
        const block = ['Host: x', ...lines].join('\r\n');
        const head = RequestHead.parse(block);
        if (head === undefined) return;
        accepted += 1;
        seen = [];
        const socket = await rawSocket(url);
        socket.write(Buffer.from(`GET / HTTP/1.1\r\n${block}\r\n\r\n`, 'latin1'));
        await socket.answer();
        await socket.close();
        expect(seen[0]?.rawHeaders).toEqual(head.rawHeaders);
        const fields = head.fields();
        if (fields !== undefined) expect({ ...seen[0]?.headers }).toEqual(fields);
      }),
      { numRuns: 600 },
    );
    expect(accepted).toBeGreaterThan(50);
  });
});
