import type { CacheEntry, EdgeCache } from '../cache/types';
import { fieldLines } from '../http/wire/field-lines';
import type { RequestHead } from '../http/wire/request-head';
import type { WireReply, WireRequest } from '../http/wire/types';
import { flatFields, withOwnStatus } from './answer';
import type { Directives } from './cache-control';
import { hitStatus } from './cache-status';
import { keyOf } from './exchange';
import { judge } from './reuse';
import { ageOf, decodeStored, type ResponseHead } from './stored-response';
import { variantOf } from './vary';

/** Bodies up to this are kept as text too, bytes: head and body then leave in one piece. */
const MAX_TEXT_BYTES = 32 * 1024;

/** Request fields that an answer would have to heed beyond what is done here. */
const HEEDED_FIELDS: readonly string[] = [
  'content-length',
  'range',
  'if-none-match',
  'if-modified-since',
  'if-match',
  'if-unmodified-since',
  'cache-control',
  'pragma',
];

/** What a field line may carry without ending it. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

const NO_DIRECTIVES: Directives = new Map();

/** A stored response as it goes out: only `Cache-Status` and `Age` change, with its age. */
interface Written {
  readonly kind: 'response';
  readonly head: ResponseHead;
  /** Status line and all fields that stay, each line ended by CRLF. */
  readonly start: string;
  readonly body: Buffer | string;
  readonly bytes: number;
  /** Age that `changing` says, seconds. */
  ageSeconds: number;
  changing: string;
}

/** What an entry is to this class. */
type Form = Written | { readonly kind: 'varies'; readonly names: readonly string[] } | { readonly kind: 'other' };

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
  readonly #plain = new WeakMap<RequestHead, boolean>();

  constructor(cache: EdgeCache, clock: () => number) {
    this.#cache = cache;
    this.#clock = clock;
  }

  /** Answers the request, or leaves it untouched and tells so by `undefined`. */
  answer(request: WireRequest, reply: WireReply): SentFromMemory | undefined {
    if (request.method !== 'GET' || !this.#isPlain(request.head)) return undefined;
    const written = this.#find(request, keyOf(request.target));
    if (!written) return undefined;

    const now = this.#clock();
    const { head, body, bytes } = written;
    if (judge(head, NO_DIRECTIVES, now) !== 'reuse') return undefined;
    this.#cache.recordHit('memory');
    const ageSeconds = Math.floor(ageOf(head, now));
    if (ageSeconds !== written.ageSeconds) {
      written.ageSeconds = ageSeconds;
      const status = withOwnStatus(head.headers, hitStatus(head, 'memory', now));
      written.changing = `cache-status: ${status}\r\nage: ${ageSeconds}\r\n`;
    }
    reply.send(written.start + written.changing, body);
    return { status: head.status, bytes };
  }

  #isPlain(head: RequestHead): boolean {
    let plain = this.#plain.get(head);
    if (plain === undefined) {
      plain = !HEEDED_FIELDS.some((name) => head.has(name));
      this.#plain.set(head, plain);
    }
    return plain;
  }

  #find(request: WireRequest, key: string): Written | undefined {
    let form = this.#formUnder(key);
    if (form?.kind === 'varies') {
      const fields = request.head.fields();
      form = fields && this.#formUnder(`${key}\n${variantOf(form.names, fields)}`);
    }
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
  const fields = [...flatFields(head), 'content-length', String(inlineBody.length)];
  // Node refuses to send such a response, and says so where the router answers.
  if (![head.statusText, ...fields].every((text) => FIELD_VALUE.test(text))) return { kind: 'other' };
  const start = `HTTP/1.1 ${head.status} ${head.statusText}\r\n${fieldLines(fields)}`;
  const body = inlineBody.length <= MAX_TEXT_BYTES ? inlineBody.toString('latin1') : inlineBody;
  return { kind: 'response', head, start, body, bytes: inlineBody.length, ageSeconds: -1, changing: '' };
}
