/** @jest-environment ./test/support/onnx-environment.cjs */
import { temporaryDirectory } from '../../../support/edge-service';
import { type HttpService, startHttpService } from '../../../support/http-service';
import { rawSocket } from '../../../support/raw-http';
import { tinyManifest, tinyModel, writeModel } from '../../../support/tiny-models';

const BODY_BYTES = 100_000;

let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
let service: HttpService;

beforeAll(async () => {
  folder = await temporaryDirectory();
  await writeModel(folder.path, 'tiny', '1', tinyModel(1), tinyManifest('1', 1));
  service = await startHttpService(folder.path, ['1'], {
    bodyBytes: BODY_BYTES,
    headersTimeoutMs: 200,
    requestTimeoutMs: 400,
    checkIntervalMs: 50,
    stalledTimeoutMs: 500,
  });
});
afterAll(async () => {
  await service.stop();
  await folder.remove();
});

/** Sends a text and gives the last answer before the connection closes. */
async function answerThenClose(text: string, answersBefore = 0) {
  const socket = await rawSocket(service.url);
  socket.write(text);
  for (let i = 0; i < answersBefore; i++) expect(await socket.answer()).toMatchObject({ status: 200 });
  const answer = await socket.answer();
  await socket.closed();
  return { ...answer, body: JSON.parse(answer.body) };
}

const error = (code: string, message: unknown = expect.any(String)) => ({ error: { code, message } });
const refusal = (status: number, body: object) => ({
  status,
  body,
  headers: { connection: 'close', 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' },
});

const PREDICT = 'POST /predict HTTP/1.1\r\nHost: x\r\n';
const predict = (body: string) => `${PREDICT}Content-Length: ${body.length}\r\n\r\n${body}`;

describe('a client over a limit is refused in the shape of the service and its connection closed', () => {
  it.each([
    ['headers that are too large', `GET /health HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(20_000)}\r\n\r\n`],
    ['a request line that is too long', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
    ['too many header fields', `GET /health HTTP/1.1\r\nHost: x\r\n${'a: b\r\n'.repeat(500)}\r\n`],
    ['too many header fields of a prediction', `${PREDICT}${'a: b\r\n'.repeat(500)}Content-Length: 2\r\n\r\n{}`],
  ])('431 for %s', async (_what, text) => {
    expect(await answerThenClose(text)).toMatchObject(refusal(431, error('headers_too_large')));
  });

  it.each([
    ['announced', `${PREDICT}Content-Length: ${BODY_BYTES + 1}\r\n\r\n`],
    [
      'chunked',
      `${PREDICT}Transfer-Encoding: chunked\r\n\r\n${(BODY_BYTES + 1).toString(16)}\r\n${'x'.repeat(BODY_BYTES + 1)}\r\n`,
    ],
  ])('413 for a body over the limit, %s', async (_what, text) => {
    const message = `the body must be at most ${BODY_BYTES} bytes`;
    expect(await answerThenClose(text)).toMatchObject(refusal(413, error('body_too_large', message)));
  });

  it.each([
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00'],
    ['a bad content length', `${PREDICT}Content-Length: 1x\r\n\r\n`],
    ['two framings at once', `${PREDICT}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a header without a name', 'GET /health HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n'],
    ['no Host', 'GET /health HTTP/1.1\r\n\r\n'],
  ])('400 for %s', async (_what, text) => {
    expect(await answerThenClose(text)).toMatchObject(refusal(400, error('invalid_request')));
  });

  it.each([
    ['its headers', 'GET /health HTTP/1.1\r\nHo'],
    ['its body', `${PREDICT}Content-Length: 20\r\n\r\n{"fea`],
    ['the body of a request for the router', `${PREDICT}Transfer-Encoding: chunked\r\n\r\n4\r\n{"fe`],
  ])('408 for a client that never ends %s', async (_what, text) => {
    expect(await answerThenClose(text)).toMatchObject(refusal(408, error('request_timeout')));
  });

  it('takes what is within the limits', async () => {
    const socket = await rawSocket(service.url);
    socket.write(`GET /health HTTP/1.1\r\nHost: x\r\n${'a: b\r\n'.repeat(150)}B: ${'b'.repeat(10_000)}\r\n\r\n`);
    expect(await socket.answer()).toMatchObject({ status: 200 });
    await socket.close();
  });
});

describe('garbage behind good requests', () => {
  it('is refused after the good ones are answered', async () => {
    const good = predict('{"features":[1,2,3]}') + predict('{"features":[1,2,4]}');
    expect(await answerThenClose(`${good}\x00garbage\r\n\r\n`, 2)).toMatchObject(
      refusal(400, error('invalid_request')),
    );
  });

  it('does not reach other connections', async () => {
    await answerThenClose('garbage\r\n\r\n');
    const socket = await rawSocket(service.url);
    socket.write(predict('{"features":[1,2,3]}'));
    expect(await socket.answer()).toMatchObject({ status: 200 });
    await socket.close();
  });
});

describe('a client that never reads', () => {
  it('is cut off, and its requests are no longer taken', async () => {
    // Only the bound on stalled connections is short: no other can be what ends this one.
    const patient = await startHttpService(folder.path, ['1'], { stalledTimeoutMs: 300, checkIntervalMs: 100 });
    const socket = await rawSocket(patient.url);
    socket.stopReading();
    // Far more answers than the kernel's buffers of both ends hold.
    socket.write(predict('{"features":[1,2,3]}').repeat(200_000));
    await socket.closed();
    const { hits, misses } = patient.cache.stats();
    expect(hits.memory + misses).toBeLessThan(200_000);
    await patient.stop();
  });
});

describe('stopping', () => {
  it('closes the connection behind an answer that was due', async () => {
    const stopping = await startHttpService(folder.path, ['1']);
    const socket = await rawSocket(stopping.url);
    socket.write(`${PREDICT}Content-Length: 20\r\n\r\n{"features":`);
    await socket.flushed();
    // The server has begun to read the request once it answers another connection.
    await health(stopping.url);
    const stopped = stopping.stop();
    socket.write('[1,2,3]}');
    expect(await socket.answer()).toMatchObject({ status: 200, headers: { connection: 'close' } });
    await stopped;
  });

  it.each(['/batch_predict', '/predict?x=1'])('answers what had begun to arrive at %s, and closes', async (path) => {
    const stopping = await startHttpService(folder.path, ['1']);
    const socket = await rawSocket(stopping.url);
    socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\n`);
    await socket.flushed();
    await health(stopping.url);
    const stopped = stopping.stop();
    const body = path === '/batch_predict' ? '{"features":[[1,2,3]]}' : '{"features":[1,2,3]}';
    socket.write(`Content-Length: ${body.length}\r\n\r\n${body}`);
    expect(await socket.answer()).toMatchObject({ status: 200, headers: { connection: 'close' } });
    await stopped;
  });
});

async function health(url: string): Promise<void> {
  const socket = await rawSocket(url);
  socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
  await socket.answer();
  await socket.close();
}
