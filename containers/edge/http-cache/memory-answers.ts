import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CacheEntry, EdgeCache } from '../cache/types';
import { flatFields, withOwnStatus } from './answer';
import type { Directives } from './cache-control';
import { hitStatus } from './cache-status';
import { keyOf } from './exchange';
import { judge } from './reuse';
import { ageOf, decodeStored, type ResponseHead } from './stored-response';
import { variantOf } from './vary';

/** Bodies up to this are kept as text too, bytes: Node sends text and head in one piece. */
const MAX_TEXT_BYTES = 32 * 1024;

/** Request fields that an answer would have to heed beyond what is done here. */
const HEEDED_FIELDS: readonly string[] = [
  'content-length',
  'transfer-encoding',
  'expect',
  'range',
  'if-none-match',
  'if-modified-since',
  'if-match',
  'if-unmodified-since',
  'cache-control',
  'pragma',
];

const NO_DIRECTIVES: Directives = new Map();

/** A stored response as it goes out; the values of its first two fields change with time. */
interface Written {
  readonly head: ResponseHead;
  readonly fields: string[];
  readonly body: Buffer | string;
  readonly bytes: number;
}

const STATUS_AT = 1;
const AGE_AT = 3;

/** What was sent, for metrics. */
export interface SentFromMemory {
  readonly status: number;
  readonly bytes: number;
}

/** Answers plain GETs whose fresh response is in memory, without a promise or a copy on the way. */
export class MemoryAnswers {
  readonly #cache: EdgeCache;
  readonly #clock: () => number;
  readonly #written = new WeakMap<CacheEntry, Written | null>();

  constructor(cache: EdgeCache, clock: () => number) {
    this.#cache = cache;
    this.#clock = clock;
  }

  /** Answers the request, or leaves it untouched and tells so by `undefined`. */
  answer(request: IncomingMessage, response: ServerResponse): SentFromMemory | undefined {
    const { headers, url = '' } = request;
    if (request.method !== 'GET' || !url.startsWith('/')) return undefined;
    for (const name of HEEDED_FIELDS) if (headers[name] !== undefined) return undefined;
    const entry = this.#entryFor(request, keyOf(url));
    const written = entry && this.#writtenForm(entry);
    if (!written) return undefined;

    const now = this.#clock();
    const { head, fields, body, bytes } = written;
    if (judge(head, NO_DIRECTIVES, now) !== 'reuse') return undefined;
    this.#cache.recordHit('memory', false);
    fields[STATUS_AT] = withOwnStatus(head.headers, hitStatus(head, 'memory', now));
    fields[AGE_AT] = String(Math.floor(ageOf(head, now)));
    response.writeHead(head.status, head.statusText, fields);
    send(response, body);
    return { status: head.status, bytes };
  }

  #entryFor(request: IncomingMessage, key: string): CacheEntry | undefined {
    const entry = this.#cache.inMemory(key);
    const item = entry && decodeStored(entry);
    if (item?.kind !== 'varies') return entry;
    return this.#cache.inMemory(`${key}\n${variantOf(item.names, request.headers)}`);
  }

  #writtenForm(entry: CacheEntry): Written | null {
    const known = this.#written.get(entry);
    if (known !== undefined) return known;
    const written = writtenForm(entry);
    this.#written.set(entry, written);
    return written;
  }
}

/** `null` for what is not answered from here: parts, bodies in files, statuses without a body. */
function writtenForm(entry: CacheEntry): Written | null {
  const item = decodeStored(entry);
  if (item?.kind !== 'response') return null;
  const { head, inlineBody } = item;
  if (head.part || head.bodyPlace.kind !== 'inline' || head.status === 204) return null;
  const fields = ['cache-status', '', 'age', '', ...flatFields(head), 'content-length', String(inlineBody.length)];
  const body = inlineBody.length <= MAX_TEXT_BYTES ? inlineBody.toString('latin1') : inlineBody;
  return { head, fields, body, bytes: inlineBody.length };
}

function send(response: ServerResponse, body: Buffer | string): void {
  const { socket } = response;
  if (socket === null || typeof body !== 'string') {
    response.end(body);
    return;
  }
  // Node joins head and body when the body is text; corked, they leave in one plain write.
  socket.cork();
  response.write(body, 'latin1');
  socket.uncork();
  response.end();
}
