import { deflateSync, gzipSync } from 'node:zlib';
import type { Random } from '../../models/random';
import { mutateBytes, mutateJson, pick, randomJson, whole } from './mutations';

/** A request as the fuzz driver sends it. */
export interface FuzzRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Datatypes of the identity models, each named after its own, with the bytes of an element. */
export const IDENTITIES = { fp32: 4, fp16: 2, int64: 8, bool: 1, bytes: 0 } as const;

type Identity = keyof typeof IDENTITIES;

const LENGTH = 'inference-header-content-length';

/** Every kind of malformed request. Each also makes valid ones now and then, so that both sides are tried. */
export const KINDS: Readonly<Record<string, (random: Random) => FuzzRequest>> = {
  'JSON text': (random) => {
    const { path, body } = inferJson(random);
    return post(path, mutateBytes(random, Buffer.from(JSON.stringify(body))));
  },
  'JSON fields': (random) => {
    const { path, body } = inferJson(random);
    return post(path, Buffer.from(JSON.stringify(mutateJson(random, body))));
  },
  'JSON tensors': (random) => {
    const { path, body } = inferJson(random);
    const [input] = body.inputs;
    const changed = { ...input, shape: oddShape(random), data: oddData(random) };
    return post(path, Buffer.from(JSON.stringify({ ...body, inputs: [changed] })));
  },
  'JSON depth and size': (random) => {
    const depth = whole(random, 1, 20_000);
    const text = pick(random, [
      '['.repeat(depth),
      `{"inputs":${'['.repeat(depth)}${']'.repeat(depth)}}`,
      `"${'x'.repeat(depth)}`,
    ]);
    return post('/v2/models/fp32/infer', Buffer.from(text));
  },
  'binary header': (random) => {
    const { path, json, binary } = inferBinary(random);
    const body = Buffer.concat([json, binary]);
    const lengths = [
      '',
      '-1',
      'x',
      '1e3',
      '0',
      `${json.length + whole(random, -3, 3)}`,
      `${whole(random, 0, 2 ** 40)}`,
      '0x10',
    ];
    return post(path, body, { [LENGTH]: pick(random, lengths) });
  },
  'binary sizes': (random) => {
    const { path, json, binary } = inferBinary(random, () =>
      pick(random, [-1, 0, 1.5, 2 ** 40, whole(random, 0, 64), 'x', null]),
    );
    return post(path, Buffer.concat([json, binary]), { [LENGTH]: `${json.length}` });
  },
  'binary elements': (random) => {
    const { path, json, binary } = inferBinary(random);
    const mutated = mutateBytes(random, binary);
    return post(path, Buffer.concat([json, mutated]), { [LENGTH]: `${json.length}` });
  },
  'raw binary': (random) => {
    const bytes = Buffer.from(Array.from({ length: whole(random, 0, 64) }, () => whole(random, 0, 255)));
    return post(`/v2/models/${pick(random, Object.keys(IDENTITIES))}/infer`, bytes, { [LENGTH]: '0' });
  },
  compression: (random) => {
    const { path, body } = inferJson(random);
    const plain = Buffer.from(JSON.stringify(body));
    const packed = pick(random, [gzipSync, deflateSync, (bytes: Buffer) => bytes])(plain);
    const encoding = pick(random, ['gzip', 'deflate', 'x-gzip', 'br', 'gzip, gzip', 'identity', '']);
    const sent = random() < 0.5 ? packed : mutateBytes(random, packed);
    return post(path, sent, {
      'content-encoding': encoding,
      'accept-encoding': pick(random, ['gzip', 'deflate;q=x', '*', ',;']),
    });
  },
  '/predict and /batch_predict': (random) => {
    const features = random() < 0.5 ? [1, 2, 3] : randomJson(random, 3);
    const body = mutateJson(random, { features, model: 'tiny', version: '1' });
    const text = Buffer.from(JSON.stringify(body));
    return post(pick(random, ['/predict', '/batch_predict']), random() < 0.7 ? text : mutateBytes(random, text));
  },
  'GET /predict': (random) => {
    const query = mutateBytes(random, Buffer.from('model=tiny&features=1,2.5,-3e2&version=1'));
    return { method: 'GET', path: `/predict?${encodeOddly(query)}`, headers: {}, body: Buffer.alloc(0) };
  },
  'paths and methods': (random) => {
    const path = mutateBytes(
      random,
      Buffer.from(pick(random, ['v2/models/fp32/versions/1/infer', 'v2/models/tiny/ready', 'v2/health/live'])),
    );
    const method = pick(random, ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']);
    return {
      method,
      path: `/${encodeOddly(path)}`,
      headers: oddHeaders(random),
      body: Buffer.from(method === 'POST' ? '{}' : ''),
    };
  },
};

function post(path: string, body: Buffer, headers: Record<string, string> = {}): FuzzRequest {
  return { method: 'POST', path, headers: { 'content-type': 'application/json', ...headers }, body };
}

function oddHeaders(random: Random): Record<string, string> {
  return pick(random, [
    {},
    { 'x-request-timeout-ms': pick(random, ['', '0', 'x', '-1', '99999999999999', '60000']) },
    { [LENGTH]: '3' },
  ]);
}

function inferJson(random: Random) {
  const name = pick(random, Object.keys(IDENTITIES) as Identity[]);
  const shape = [whole(random, 0, 3), whole(random, 0, 3)];
  const count = (shape[0] ?? 0) * (shape[1] ?? 0);
  const data = Array.from({ length: count }, () => element(random, name));
  const input = { name: 'x', datatype: name.toUpperCase(), shape, data };
  const body = {
    id: 'f',
    parameters: { binary_data_output: random() < 0.3 },
    inputs: [input],
    outputs: [{ name: 'y' }],
  };
  return { path: `/v2/models/${name}/infer`, body };
}

function element(random: Random, name: Identity): unknown {
  if (name === 'bool') return random() < 0.5;
  if (name === 'bytes') return pick(random, ['', 'a', 'é', '😀', '\n']);
  if (name === 'int64') return whole(random, -(2 ** 40), 2 ** 40);
  return random() < 0.9 ? random() * 1000 : pick(random, ['NaN', 'Infinity', -0]);
}

function inferBinary(random: Random, oddSize?: () => unknown): { path: string; json: Buffer; binary: Buffer } {
  const name = pick(random, Object.keys(IDENTITIES) as Identity[]);
  const shape = [whole(random, 0, 3), whole(random, 0, 3)];
  const count = (shape[0] ?? 0) * (shape[1] ?? 0);
  const binary =
    name === 'bytes' ? Buffer.alloc(count * 4) : Buffer.alloc(count * IDENTITIES[name], name === 'bool' ? 1 : 0x3c);
  const size = oddSize === undefined ? binary.length : oddSize();
  const input = { name: 'x', datatype: name.toUpperCase(), shape, parameters: { binary_data_size: size } };
  const json = Buffer.from(JSON.stringify({ inputs: [input], parameters: { binary_data_output: random() < 0.5 } }));
  return { path: `/v2/models/${name}/infer`, json, binary };
}

function oddShape(random: Random): unknown {
  const axis = () => pick(random, [0, 1, 2, 3, -1, 0.5, 2 ** 31, 2 ** 53, 1e308, '2', null]);
  return random() < 0.8 ? Array.from({ length: whole(random, 0, 4) }, axis) : randomJson(random, 2);
}

function oddData(random: Random): unknown {
  return random() < 0.5
    ? Array.from({ length: whole(random, 0, 9) }, () => randomJson(random, 1))
    : randomJson(random, 4);
}

/** Any bytes as they may stand in a request line: what would end it is escaped, and half of the rest is left as it is. */
function encodeOddly(bytes: Buffer): string {
  return Array.from(bytes, (byte) => {
    const isPlain = byte > 0x20 && byte < 0x7f && byte !== 0x23;
    return isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, '0')}`;
  }).join('');
}
