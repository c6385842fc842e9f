import { canonicalPath, type RoutePolicy } from '../../../lib/core/cache-policy';
import type { CacheEntry, EdgeCache, StoredTier } from '../cache/types';
import { fieldLines } from '../http/wire/field-lines';
import type { RequestHead } from '../http/wire/request-head';
import type { WireReply, WireRequest } from '../http/wire/types';
import { flatFields, withOwnStatus } from './answer';
import type { Directives } from './cache-control';
import { hitStatus } from './cache-status';
import { keyOf } from './exchange';
import { judge } from './reuse';
import { lookUp, type Selected } from './selection';
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
export interface SentPlain {
  readonly status: number;
  readonly bytes: number;
  readonly level: StoredTier;
}

/** Answers plain GETs whose fresh response is stored: from memory without a promise or a copy on the way. */
export class PlainAnswers {
  readonly #cache: EdgeCache;
  readonly #policyOf: (path: string) => RoutePolicy | undefined;
  readonly #clock: () => number;
  readonly #forms = new WeakMap<CacheEntry, Form>();
  readonly #plain = new WeakMap<RequestHead, boolean>();

  constructor(cache: EdgeCache, policyOf: (path: string) => RoutePolicy | undefined, clock: () => number) {
    this.#cache = cache;
    this.#policyOf = policyOf;
    this.#clock = clock;
  }

  /** Answers the request from memory, or leaves it untouched and tells so by `undefined`. */
  fromMemory(request: WireRequest, reply: WireReply): SentPlain | undefined {
    if (request.method !== 'GET' || !this.#isPlain(request.head)) return undefined;
    const written = this.#find(request, keyOf(request.target));
    if (!written) return undefined;

    const now = this.#clock();
    if (judge(written.head, NO_DIRECTIVES, now) !== 'reuse') return undefined;
    const ageSeconds = Math.floor(ageOf(written.head, now));
    if (ageSeconds !== written.ageSeconds) {
      written.ageSeconds = ageSeconds;
      written.changing = changingLines(written.head, 'memory', now);
    }
    return this.#send(written, written.changing, 'memory', reply);
  }

  /**
   * Takes a request that memory does not answer and looks into the tiers below; one that they do not answer either is
   * passed on with what has been found. `false`: not a request for this.
   */
  takes(request: WireRequest, reply: WireReply, onSent: (sent: SentPlain) => void): boolean {
    const { method, target, head } = request;
    const fields = method === 'GET' && this.#isPlain(head) ? head.fields() : undefined;
    const [path = ''] = target.split('?', 1);
    if (fields === undefined || this.#policyOf(canonicalPath(path))?.cache === false) return false;
    const key = keyOf(target);
    const form = this.#formUnder(key);
    // What memory holds and cannot answer with, no other tier answers any quicker.
    if (form !== undefined && form.kind !== 'varies') return false;
    lookUp(this.#cache, key, fields).then(
      (found) => {
        const sent = this.#fromTier(found.selection.selected, reply);
        if (sent === undefined) reply.pass(found);
        else onSent(sent);
      },
      () => reply.pass(undefined),
    );
    return true;
  }

  #fromTier(selected: Selected | undefined, reply: WireReply): SentPlain | undefined {
    if (selected === undefined) return undefined;
    const { entry, head, inlineBody, tier } = selected;
    const now = this.#clock();
    if (judge(head, NO_DIRECTIVES, now) !== 'reuse') return undefined;
    const form = this.#formOf(entry, () => formOf({ kind: 'response', head, inlineBody }));
    return form.kind === 'response' ? this.#send(form, changingLines(head, tier, now), tier, reply) : undefined;
  }

  #send({ head, start, body, bytes }: Written, changing: string, level: StoredTier, reply: WireReply): SentPlain {
    this.#cache.recordHit(level);
    reply.send(start + changing, body);
    return { status: head.status, bytes, level };
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
    return this.#formOf(entry, () => formOf(decodeStored(entry)));
  }

  #formOf(entry: CacheEntry, make: () => Form): Form {
    let form = this.#forms.get(entry);
    if (form === undefined) {
      form = make();
      this.#forms.set(entry, form);
    }
    return form;
  }
}

function changingLines(head: ResponseHead, tier: StoredTier, now: number): string {
  const status = withOwnStatus(head.headers, hitStatus(head, tier, now));
  return `cache-status: ${status}\r\nage: ${Math.floor(ageOf(head, now))}\r\n`;
}

/** Left to others: parts, bodies in files, statuses without a body. */
function formOf(item: ReturnType<typeof decodeStored>): Form {
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
