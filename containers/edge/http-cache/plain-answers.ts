import type { RoutePolicy } from '../../../lib/core/cache-policy';
import type { CacheEntry, EdgeCache, Found, StoredTier } from '../cache/types';
import type { RequestHead } from '../http/wire/request-head';
import type { WireReply, WireRequest } from '../http/wire/types';
import { hitStatusOf } from './cache-status';
import { keyOf, pathOf } from './exchange';
import type { PlainForm } from './plain-form';
import { LookedUp, selectFrom } from './selection';
import { currentAge, decodeHeld, decodePlain } from './stored-response';
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

/** A response of the memory tier as it goes out: only `Cache-Status` and `Age` change, with its age. */
interface Written {
  readonly kind: 'response';
  readonly form: PlainForm;
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

    const { form } = written;
    const age = currentAge(form.initialAge, form.responseTime, this.#clock());
    if (age >= form.lifetime) return undefined;
    const ageSeconds = Math.floor(age);
    if (ageSeconds !== written.ageSeconds) {
      written.ageSeconds = ageSeconds;
      written.changing = changingLines(form, 'memory', age);
    }
    this.#cache.recordHit('memory');
    reply.send(form.start + written.changing, written.body);
    return { status: form.status, bytes: written.bytes, level: 'memory' };
  }

  /**
   * Takes a request that memory does not answer and looks into the tiers below; one that they do not answer either is
   * passed on with what has been found. `false`: not a request for this.
   */
  takes(request: WireRequest, reply: WireReply, onSent: (sent: SentPlain) => void): boolean {
    const { method, target, head } = request;
    const fields = method === 'GET' && this.#isPlain(head) ? head.fields() : undefined;
    if (fields === undefined || this.#policyOf(pathOf(target))?.cache === false) return false;
    const key = keyOf(target);
    const form = this.#formUnder(key);
    // What memory holds and cannot answer with, no other tier answers any quicker.
    if (form !== undefined && form.kind !== 'varies') return false;
    const ticket = this.#cache.beginFill(key);
    this.#cache.seek(key, (found) => {
      if (found !== undefined && this.#answers(found, reply, onSent)) return;
      selectFrom(this.#cache, key, fields, found, (selection) => {
        const { selected } = selection;
        const isVariant = selected !== undefined && selected.entry !== found?.entry;
        if (!isVariant || !this.#answers(selected, reply, onSent)) reply.pass(new LookedUp(ticket, selection));
      });
    });
    return true;
  }

  /** Answers with what was found below memory, if it is a fresh response that can be answered so. */
  #answers({ entry, tier }: Found, reply: WireReply, onSent: (sent: SentPlain) => void): boolean {
    const plain = decodePlain(entry);
    if (plain === undefined) return false;
    const { form, inlineBody } = plain;
    const age = currentAge(form.initialAge, form.responseTime, this.#clock());
    if (age >= form.lifetime) return false;
    this.#cache.recordHit(tier);
    reply.send(form.start + changingLines(form, tier, age), textOf(inlineBody));
    onSent({ status: form.status, bytes: inlineBody.length, level: tier });
    return true;
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
    let form = this.#forms.get(entry);
    if (form === undefined) {
      form = formOf(entry);
      this.#forms.set(entry, form);
    }
    return form;
  }
}

/** `age` in seconds. */
function changingLines({ statusBehind, lifetime }: PlainForm, tier: StoredTier, age: number): string {
  const own = hitStatusOf(Math.floor(lifetime - age), tier);
  const status = statusBehind === '' ? own : `${statusBehind}, ${own}`;
  return `cache-status: ${status}\r\nage: ${Math.floor(age)}\r\n`;
}

function formOf(entry: CacheEntry): Form {
  const plain = decodePlain(entry);
  if (plain === undefined) {
    const item = decodeHeld(entry);
    return item?.kind === 'varies' ? item : { kind: 'other' };
  }
  const { form, inlineBody } = plain;
  return { kind: 'response', form, body: textOf(inlineBody), bytes: inlineBody.length, ageSeconds: -1, changing: '' };
}

/** A body as it is sent: head and a short body leave in one piece. */
function textOf(body: Buffer): Buffer | string {
  return body.length <= MAX_TEXT_BYTES ? body.toString('latin1') : body;
}
