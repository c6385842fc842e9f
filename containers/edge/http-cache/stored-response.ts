import type { CacheEntry } from '../cache/types';
import { keptBytes } from '../kept-bytes';
import type { ContentRange } from './byte-range';
import type { Freshness } from './freshness';
import { decodePlainForm, encodePlainForm, type PlainForm, plainFormOf } from './plain-form';

/** Where a stored body is: in the entry itself, or a file of the body store of this process. */
export type BodyPlace = { readonly kind: 'inline' } | { readonly kind: 'file'; readonly id: string };

/** The part of a representation that was stored, and the `Range` that asked for it. */
export interface StoredPart extends ContentRange {
  readonly asked: string;
}

/** A response without its body, as it is stored and reused. Times in ms since 1970. */
export interface ResponseHead {
  readonly status: number;
  readonly statusText: string;
  /** End-to-end fields, lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly responseTime: number;
  readonly freshness: Freshness;
  /** True when the response, or its route, asks to be used stale while the origin answers with errors. */
  readonly staleOnServerError: boolean;
  readonly tags: readonly string[];
  readonly part?: StoredPart;
  readonly bodyBytes: number;
  readonly bodyPlace: BodyPlace;
}

/** A response as its entry holds it. */
export interface StoredResponse {
  readonly kind: 'response';
  readonly head: ResponseHead;
  readonly inlineBody: Buffer;
}

/** What an entry of the HTTP cache holds. */
export type StoredItem =
  | StoredResponse
  /** The resource's responses depend on these request fields; each is stored under the key of its variant. */
  | { readonly kind: 'varies'; readonly names: readonly string[] };

const FORMAT = 2;
const HEADER_BYTES = 9;
const KINDS = ['response', 'varies'] as const;
const NOTHING = Buffer.alloc(0);

/** Entry body of a response, laid out as `encode` says; the inline body is at its end, as it is. */
export function encodeResponse(head: ResponseHead, inlineBody: Buffer): Buffer {
  const plain = plainFormOf(head, inlineBody.length);
  return encode('response', JSON.stringify(head), plain ? encodePlainForm(plain) : NOTHING, inlineBody);
}

/** Entry body that says by which request fields a resource's responses are told apart. */
export function encodeVaries(names: readonly string[]): Buffer {
  return encode('varies', JSON.stringify(names), NOTHING, NOTHING);
}

/** One byte of format and kind, u32 length of the JSON, u32 length of the plain form, those two, body. Little-endian. */
function encode(kind: StoredItem['kind'], json: string, plain: Buffer, body: Buffer): Buffer {
  const jsonBytes = Buffer.byteLength(json);
  const plainAt = HEADER_BYTES + jsonBytes;
  const out = keptBytes(plainAt + plain.length + body.length);
  out.writeUInt8(FORMAT * 16 + KINDS.indexOf(kind), 0);
  out.writeUInt32LE(jsonBytes, 1);
  out.writeUInt32LE(plain.length, 5);
  out.write(json, HEADER_BYTES);
  plain.copy(out, plainAt);
  body.copy(out, plainAt + plain.length);
  return out;
}

const decoded = new WeakMap<CacheEntry, StoredItem>();

/** Reads an entry of the memory tier; once, since a hit gives the same one again. `undefined` for another version's. */
export function decodeHeld(entry: CacheEntry): StoredItem | undefined {
  const known = decoded.get(entry);
  if (known) return known;
  const item = decodeStored(entry);
  if (item) decoded.set(entry, item);
  return item;
}

/**
 * Reads an entry. `undefined` for another version's. Remembers nothing: an entry that is gone with its answer would cost
 * the garbage collector more in a WeakMap than it costs to read.
 */
export function decodeStored({ body }: CacheEntry): StoredItem | undefined {
  const kind = kindOf(body);
  if (kind === undefined) return undefined;
  const plainAt = HEADER_BYTES + body.readUInt32LE(1);
  const json = jsonOf(body.toString('utf8', HEADER_BYTES, plainAt));
  if (kind === 'varies') return isNames(json) ? { kind, names: json } : undefined;
  if (!isHead(json)) return undefined;
  return { kind, head: json, inlineBody: body.subarray(plainAt + body.readUInt32LE(5)) };
}

/** A stored response for a plain answer, without reading the rest of it. */
export interface PlainResponse {
  readonly form: PlainForm;
  readonly inlineBody: Buffer;
}

/** `undefined` for what holds no response that can be answered so. */
export function decodePlain({ body }: CacheEntry): PlainResponse | undefined {
  if (kindOf(body) !== 'response') return undefined;
  const plainAt = HEADER_BYTES + body.readUInt32LE(1);
  const bodyAt = plainAt + body.readUInt32LE(5);
  const form = bodyAt > body.length ? undefined : decodePlainForm(body, plainAt, bodyAt);
  return form && { form, inlineBody: body.subarray(bodyAt) };
}

function kindOf(body: Buffer): StoredItem['kind'] | undefined {
  const first = body.length < HEADER_BYTES ? 0 : (body[0] ?? 0);
  return first >> 4 === FORMAT ? KINDS[first & 15] : undefined;
}

/** Whether it can be worked with: L1 is shared, and whoever reads it must not come to harm by what another wrote there. */
function isHead(json: unknown): json is ResponseHead {
  const { headers, freshness } = (json ?? {}) as Partial<Record<keyof ResponseHead, unknown>>;
  return isObject(headers) && isObject(freshness);
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function isNames(json: unknown): json is string[] {
  return Array.isArray(json) && json.every((name) => typeof name === 'string');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Age of a response, seconds (RFC 9111, 4.2.3). */
export function ageOf({ freshness, responseTime }: ResponseHead, now: number): number {
  return currentAge(freshness.initialAge, responseTime, now);
}

/** `current_age` of RFC 9111, 4.2.3, in seconds; times in ms since 1970. */
export function currentAge(initialAgeSeconds: number, responseTime: number, now: number): number {
  return Math.max(0, initialAgeSeconds + (now - responseTime) / 1000);
}
