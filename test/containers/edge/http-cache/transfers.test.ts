import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { sendAnswer } from '../../../../containers/edge/http-cache/answer';
import { openExchange } from '../../../../containers/edge/http-cache/exchange';
import { Transfers } from '../../../../containers/edge/http-cache/transfers';
import { until } from '../cache/fixtures';
import { type CacheUnderTest, startCache } from './harness';
import { counting, waiting } from './origins';

test('transfers are counted from the age asked for, the oldest first', () => {
  let now = 0;
  const transfers = new Transfers(() => now);
  const [first, second] = [{}, {}];
  transfers.begin(first);
  now = 1_000;
  transfers.begin(second);
  now = 5_000;
  expect([5_001, 5_000, 4_001, 4_000].map((ms) => transfers.longerThan(ms))).toEqual([0, 1, 1, 2]);
  transfers.end(first);
  expect(transfers.longerThan(0)).toBe(1);
  transfers.end(second);
  transfers.end(second);
  expect(transfers.longerThan(0)).toBe(0);
});

const ANSWER = {
  status: 200,
  statusText: 'OK',
  headers: {},
  tags: [],
  cacheStatus: 'test',
  level: 'origin',
  evaluates: false,
} as const;

describe('an answer counts as a transfer', () => {
  const LARGE = Buffer.alloc(32 * 1024 * 1024, 'abcdefghij');
  let edge: CacheUnderTest;
  beforeEach(async () => {
    edge = await startCache({ withDisk: true });
  });
  afterEach(() => edge.stop());
  const underWay = () => edge.transfers.longerThan(0);

  /** A client that reads no more than the beginning until it is told to. */
  async function slowClient(path: string) {
    const socket = connect(Number(new URL(edge.url).port), '127.0.0.1');
    socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    await new Promise((resolve) => socket.once('readable', resolve));
    return {
      hangUp: () => void socket.destroy(),
      async readAll() {
        let bytes = 0;
        for await (const part of socket) bytes += (part as Buffer).length;
        return bytes;
      },
    };
  }

  it('while the origin sends it, and from the disk, until the client has it all', async () => {
    edge.origin((_request, response) => {
      response.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': LARGE.length }).end(LARGE);
    });
    const first = await slowClient('/big');
    expect(underWay()).toBe(1);
    expect(await first.readAll()).toBeGreaterThan(LARGE.length);
    await until(() => underWay() === 0);
    await until(() => edge.bodies?.usage().entries === 1);
    const second = await slowClient('/big');
    expect(underWay()).toBe(1);
    expect(await second.readAll()).toBeGreaterThan(LARGE.length);
    await until(() => underWay() === 0);
    expect(edge.asked).toHaveLength(1);
  });

  it('until the client hangs up', async () => {
    const origin = waiting();
    edge.origin(origin.listener);
    const reading = slowClient('/late');
    (await origin.next()).writeHead(200, { 'content-length': LARGE.length }).end(LARGE);
    const reader = await reading;
    expect(underWay()).toBe(1);
    reader.hangUp();
    await until(() => underWay() === 0);
  });

  it('no longer than it is sent, when the client had gone before it began', async () => {
    const transfers = new Transfers();
    const sent = new Promise<void>((resolve, reject) => {
      edge.origin((request, response) => {
        response.destroy();
        response.once('close', () => {
          const exchange = openExchange(
            request,
            response,
            () => undefined,
            () => undefined,
            transfers,
          );
          const body = { kind: 'stream', stream: Readable.from([LARGE]), bytes: undefined } as const;
          sendAnswer(exchange, { ...ANSWER, body }).then(resolve, reject);
        });
      });
    });
    await edge.get('/gone');
    await sent;
    expect(transfers.longerThan(0)).toBe(0);
  });

  it('not when it is in memory, nor when it has no body', async () => {
    edge.origin(counting({ 'cache-control': 'max-age=60' }));
    await edge.get('/small');
    const begin = jest.spyOn(edge.transfers, 'begin');
    const { cacheStatus } = await edge.get('/small');
    expect(cacheStatus).toContain('; hit');
    await edge.request('HEAD', '/small');
    await edge.request('HEAD', '/other');
    expect(begin).not.toHaveBeenCalled();
  });
});
