/** @jest-environment ./test/support/onnx-environment.cjs */
import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { type RunningEdge, startEdge, temporaryDirectory } from '../../../support/edge-service';

let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
let origin: Server;
let originUrl: string;
let answer: RequestListener;
let edge: RunningEdge;

beforeAll(async () => {
  folder = await temporaryDirectory();
  origin = createServer((request, response) => answer(request, response)).listen(0, '127.0.0.1');
  await once(origin, 'listening');
  originUrl = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
  edge = await startEdge({ MODELS_DIR: folder.path, ORIGIN_URL: `${originUrl}/base/` });
});
afterAll(async () => {
  await edge.stop();
  origin.closeAllConnections();
  origin.close();
  await folder.remove();
});

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

describe('any other path', () => {
  it('goes to the origin with its method, query, fields and body, and back as it is', async () => {
    const seen: object[] = [];
    answer = async (request, response) => {
      const { method, url, headers } = request;
      seen.push({
        method,
        url,
        body: await textOf(request),
        host: headers.host,
        via: headers.via,
        own: headers['x-own'],
      });
      response.writeHead(207, { 'x-answer': 'yes', 'set-cookie': ['a=1', 'b=2'] }).end('{"not": parsed');
    };
    const response = await fetch(`${edge.url}/users/1?x=%20y`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'x-own': 'kept' },
      body: '{"not": json',
    });
    expect(response.status).toBe(207);
    expect(await response.text()).toBe('{"not": parsed');
    expect(response.headers.get('x-answer')).toBe('yes');
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(response.headers.get('cache-status')).toBe('mlcdn-edge; fwd=method; fwd-status=207');
    expect(seen).toEqual([
      {
        method: 'PUT',
        url: '/base/users/1?x=%20y',
        body: '{"not": json',
        host: new URL(originUrl).host,
        via: '1.1 mlcdn-edge',
        own: 'kept',
      },
    ]);
  });

  it('answers a GET with what a POST said is the resource now, in spite of the invalidation that the POST caused', async () => {
    answer = (request, response) => {
      const headers = { 'cache-control': 'max-age=60', 'content-location': '/resource', 'content-type': 'text/plain' };
      response.writeHead(200, headers).end(`by ${request.method}`);
    };
    await (await fetch(`${edge.url}/resource`, { method: 'POST', body: 'x' })).text();
    // Longer than invalidations are gathered for.
    await new Promise((resolve) => setTimeout(resolve, 50));
    const response = await fetch(`${edge.url}/resource`);
    expect(await response.text()).toBe('by POST');
    expect(response.headers.get('cache-status')).toContain('; hit');
  });

  it('is streamed: the first bytes arrive before the origin has written the last', async () => {
    let finish = () => {};
    answer = (_request, response) => {
      response.write('first');
      finish = () => response.end('last');
    };
    const response = await fetch(`${edge.url}/stream`);
    const reader = response.body?.getReader();
    const first = await reader?.read();
    expect(Buffer.from(first?.value ?? []).toString()).toBe('first');
    finish();
    const second = await reader?.read();
    expect(Buffer.from(second?.value ?? []).toString()).toBe('last');
  });

  it('does not forward fields of the connection', async () => {
    let headers: IncomingMessage['headers'] = {};
    answer = (request, response) => {
      headers = request.headers;
      response.end();
    };
    const { port } = new URL(edge.url);
    const request = httpRequest({
      port,
      path: '/x',
      headers: { connection: 'x-mine', 'x-mine': '1', te: 'trailers' },
    }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    expect(headers['x-mine']).toBeUndefined();
    expect(headers.te).toBeUndefined();
  });

  it.each(['http://127.0.0.1:1/secret', '//127.0.0.1:1/secret'])(
    'never lets the request target %s choose the origin',
    async (path) => {
      let url: string | undefined;
      answer = (request, response) => {
        url = request.url;
        response.end();
      };
      const { port } = new URL(edge.url);
      const request = httpRequest({ port, path }).end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      response.resume();
      const refusedOrKept = response.statusCode === 400 || url === `/base${path}`;
      expect(refusedOrKept).toBe(true);
    },
  );

  it('is a 502 when the origin breaks the connection', async () => {
    answer = (request) => request.socket.destroy();
    expect(await edge.get('/x')).toMatchObject({ status: 502, body: { error: { code: 'origin_unreachable' } } });
  });

  it('leaves the service healthy without a single model', async () => {
    expect(await edge.get('/health')).toMatchObject({ status: 200, body: { models: {} } });
    expect(await edge.get('/v2/health/ready')).toMatchObject({ status: 503, body: { ready: false } });
    expect(await edge.post('/predict', { features: [1] })).toMatchObject({
      status: 503,
      body: { error: { code: 'model_not_ready', message: 'no model is live here yet' } },
    });
  });
});
