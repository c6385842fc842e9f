import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CacheEntry, EdgeCache } from '../cache/types';
import { FieldNames } from '../raw-fields';
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
const HEEDED_FIELDS = new FieldNames([
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
]);

const NO_DIRECTIVES: Directives = new Map();

/** A stored response as it goes out; the values of its first two fields change with its age. */
interface Written {
  readonly kind: 'response';
  readonly head: ResponseHead;
  readonly fields: string[];
  readonly body: Buffer | string;
  readonly bytes: number;
  /** Age that `fields` says now, seconds. */
  ageSeconds: number;
}

/** What an entry is to this class. */
type Form = Written | { readonly kind: 'varies'; readonly names: readonly string[] } | { readonly kind: 'other' };

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
  readonly #forms = new WeakMap<CacheEntry, Form>();

  constructor(cache: EdgeCache, clock: () => number) {
    this.#cache = cache;
    this.#clock = clock;
  }

  /** Answers the request, or leaves it untouched and tells so by `undefined`. */
  answer(request: IncomingMessage, response: ServerResponse): SentFromMemory | undefined {
    const { url = '' } = request;
    if (request.method !== 'GET' || !url.startsWith('/') || HEEDED_FIELDS.isIn(request.rawHeaders)) return undefined;
    const written = this.#find(request, keyOf(url));
    if (!written) return undefined;

    const now = this.#clock();
    const { head, fields, body, bytes } = written;
    if (judge(head, NO_DIRECTIVES, now) !== 'reuse') return undefined;
    this.#cache.recordHit('memory', false);
    const ageSeconds = Math.floor(ageOf(head, now));
    if (ageSeconds !== written.ageSeconds) {
      written.ageSeconds = ageSeconds;
      fields[STATUS_AT] = withOwnStatus(head.headers, hitStatus(head, 'memory', now));
      fields[AGE_AT] = String(ageSeconds);
    }
    response.writeHead(head.status, head.statusText, fields);
    send(response, body);
    return { status: head.status, bytes };
  }

  #find(request: IncomingMessage, key: string): Written | undefined {
    let form = this.#formUnder(key);
    if (form?.kind === 'varies') form = this.#formUnder(`${key}\n${variantOf(form.names, request.headers)}`);
    return form?.kind === 'response' ? form : undefined;
  }

  #formUnder(key: string): Form | undefined {
    const entry = this.#cache.inMemory(key);
    if (!entry) return undefined;
    const known = this.#forms.get(entry);
    if (known) return known;
    const form = formOf(entry);
    this.#forms.set(entry, form);
    return form;
  }
}

/** Left to others: parts, bodies in files, statuses without a body. */
function formOf(entry: CacheEntry): Form {
  const item = decodeStored(entry);
  if (item?.kind === 'varies') return item;
  if (!item || item.head.part || item.head.bodyPlace.kind !== 'inline' || item.head.status === 204) {
    return { kind: 'other' };
  }
  const { head, inlineBody } = item;
  const fields = ['cache-status', '', 'age', '', ...flatFields(head), 'content-length', String(inlineBody.length)];
  const body = inlineBody.length <= MAX_TEXT_BYTES ? inlineBody.toString('latin1') : inlineBody;
  return { kind: 'response', head, fields, body, bytes: inlineBody.length, ageSeconds: -1 };
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
