import type { CacheEntry } from '../cache/types';
import { keptBytes } from '../kept-bytes';
import type { ContentRange } from './byte-range';
import type { Freshness } from './freshness';

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

/** What an entry of the HTTP cache holds. */
export type StoredItem =
  | { readonly kind: 'response'; readonly head: ResponseHead; readonly inlineBody: Buffer }
  /** The resource's responses depend on these request fields; each is stored under the key of its variant. */
  | { readonly kind: 'varies'; readonly names: readonly string[] };

const FORMAT = 1;
const HEADER_BYTES = 5;
const KINDS = ['response', 'varies'] as const;

/** Entry body of a response, laid out as `encode` says; the inline body is at its end, as it is. */
export function encodeResponse(head: ResponseHead, inlineBody: Buffer): Buffer {
  return encode('response', JSON.stringify(head), inlineBody);
}

/** Entry body that says by which request fields a resource's responses are told apart. */
export function encodeVaries(names: readonly string[]): Buffer {
  return encode('varies', JSON.stringify(names), Buffer.alloc(0));
}

/** One byte of format and kind, u32 length of the JSON, JSON, body. Little-endian. */
function encode(kind: StoredItem['kind'], json: string, body: Buffer): Buffer {
  const jsonBytes = Buffer.byteLength(json);
  const out = keptBytes(HEADER_BYTES + jsonBytes + body.length);
  out.writeUInt8(FORMAT * 16 + KINDS.indexOf(kind), 0);
  out.writeUInt32LE(jsonBytes, 1);
  out.write(json, HEADER_BYTES);
  body.copy(out, HEADER_BYTES + jsonBytes);
  return out;
}

const decoded = new WeakMap<CacheEntry, StoredItem>();

/** Reads an entry; once per entry, since a memory hit gives the same one again. `undefined` for another version's. */
export function decodeStored(entry: CacheEntry): StoredItem | undefined {
  const known = decoded.get(entry);
  if (known) return known;
  const item = decode(entry.body);
  if (item) decoded.set(entry, item);
  return item;
}

function decode(body: Buffer): StoredItem | undefined {
  if (body.length < HEADER_BYTES || (body[0] ?? 0) >> 4 !== FORMAT) return undefined;
  const kind = KINDS[(body[0] ?? 0) & 15];
  const bodyAt = HEADER_BYTES + body.readUInt32LE(1);
  const json = jsonOf(body.toString('utf8', HEADER_BYTES, bodyAt));
  if (json === undefined) return undefined;
  if (kind === 'varies') return { kind, names: json as readonly string[] };
  if (kind === 'response') return { kind, head: json as ResponseHead, inlineBody: body.subarray(bodyAt) };
  return undefined;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Age of a response, seconds (RFC 9111, 4.2.3). */
export function ageOf(head: ResponseHead, now: number): number {
  return Math.max(0, head.freshness.initialAge + (now - head.responseTime) / 1000);
}
