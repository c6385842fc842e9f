import type { Readable } from 'node:stream';
import type { RoutePolicy } from '../../../lib/core/cache-policy';
import type { BodyStore } from '../cache/body-store';
import type { FillPolicy, FillTicket, StoredTier } from '../cache/types';
import { messageOf } from '../errors';
import type { AnswerBody } from './answer';
import { validationFields } from './conditional';
import { type Fields, fieldValue } from './fields';
import { FillBody, type KeptBody } from './fill-body';
import { isServerError } from './freshness';
import type { OriginClient, OriginResponse } from './origin-client';
import { confirmedHead, entryFor, headToStore } from './response-head';
import { mayAnswerInstead } from './reuse';
import { ageOf, encodeVaries, type ResponseHead } from './stored-response';
import { variantOf, varyNames } from './vary';

/** A stored response that the origin may confirm. */
export interface Candidate {
  readonly head: ResponseHead;
  readonly inlineBody: Buffer;
}

/** What a fill needs to know of the request that caused it. */
export interface FillRequest {
  /** Path and query. */
  readonly target: string;
  /** The request's fields, without preconditions and range. */
  readonly headers: Fields;
  readonly authorized: boolean;
  readonly policy: RoutePolicy | undefined;
  readonly candidate: Candidate | undefined;
  /** Taken before anything was looked up. */
  readonly ticket: FillTicket;
  /** How long the list of variants that is stored already is kept from now on, ms. */
  readonly variantListKeptForMs: () => number;
  /** Called for each 1xx response. */
  readonly onInterim?: (status: number, headers: Fields) => void;
}

/** A response that is stored, or will be once its body is whole; others may have it too if `shareable`. */
export interface StoredArrival {
  readonly kind: 'stored';
  readonly head: ResponseHead;
  /** Status of the origin's own answer. */
  readonly originStatus: number;
  readonly shareable: boolean;
  /** The variant of a request with these fields; equal ones get the same response. */
  readonly variantOf: (request: Fields) => string;
  /** Its body from the first byte; `undefined` when it cannot be had any more. */
  readonly open: () => Promise<AnswerBody | undefined>;
  /** Resolves when the response is stored or has broken off. */
  readonly done: Promise<void>;
}

/** What came of asking the origin. */
export type Arrival =
  | StoredArrival
  /** A response for whoever asked, and nobody else. */
  | { readonly kind: 'private'; readonly response: OriginResponse }
  /** The origin errs; the stored candidate is the better answer. */
  | { readonly kind: 'origin-error'; readonly originStatus: number };

/** Bodies up to this are kept in the entry, in every tier; larger ones in files of the disk tier. */
const INLINE_BYTES = 256 * 1024;
/** The same where there is no disk tier. */
const INLINE_BYTES_WITHOUT_DISK = 4 * 1024 * 1024;

/** What fills work with. */
export interface FillContext {
  readonly origin: OriginClient;
  readonly bodies: BodyStore | undefined;
  readonly clock: () => number;
}

/** Asks the origin for a whole response and stores it as far as it may be. Rejects when the origin does not answer. */
export async function fillFromOrigin(context: FillContext, request: FillRequest): Promise<Arrival> {
  const { candidate, policy, authorized } = request;
  const response = await context.origin.ask({
    method: 'GET',
    target: request.target,
    headers: candidate ? { ...request.headers, ...validationFields(candidate.head.headers) } : request.headers,
    ...(request.onInterim ? { onInterim: request.onInterim } : {}),
  });
  if (response.status === 304 && candidate) {
    await response.body.dump();
    const confirmed = confirmedHead(candidate.head, response, policy, authorized);
    const head = confirmed ?? candidate.head;
    if (confirmed) store(request, confirmed, candidate.inlineBody);
    const open = () => openStored(context.bodies, head, candidate.inlineBody);
    return stored(context, request, response.status, head, open, Promise.resolve());
  }
  const mayStandIn = candidate?.head.staleOnServerError && mayAnswerInstead(candidate.head, context.clock());
  if (mayStandIn && isServerError(response.status)) {
    await response.body.dump();
    return { kind: 'origin-error', originStatus: response.status };
  }
  const head = response.status === 206 ? undefined : headToStore(response, policy, authorized);
  return head ? receive(context, request, response, head) : { kind: 'private', response };
}

/** Lets a response's body in, to those who read it and to the tiers. `open` must be called, or nobody reads. */
export function receive(
  context: FillContext,
  request: FillRequest,
  response: OriginResponse,
  head: ResponseHead,
): StoredArrival {
  const length = fieldValue(response.headers, 'content-length');
  const expectedBytes = length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined;
  const body = new FillBody({
    inlineBytes: context.bodies ? INLINE_BYTES : INLINE_BYTES_WITHOUT_DISK,
    bodies: context.bodies,
    expectedBytes,
    maxBytes: request.policy?.maxBytes ?? Number.POSITIVE_INFINITY,
  });
  let whole: { readonly head: ResponseHead; readonly inline: Buffer } | undefined;
  // Whoever asked reads from the start, even if the body turns out too large to be kept.
  let first: Readable | undefined = body.read();
  const done = pump(response, body).then((kept) => {
    if (!kept || kept.kind === 'passed') return;
    whole = wholeResponse(head, kept);
    store(request, whole.head, whole.inline);
  });
  const open = async (): Promise<AnswerBody | undefined> => {
    if (whole) {
      first?.destroy();
      return openStored(context.bodies, whole.head, whole.inline);
    }
    const stream = first ?? (body.joinable ? body.read() : undefined);
    first = undefined;
    return stream && { kind: 'stream', stream, bytes: expectedBytes };
  };
  return stored(context, request, response.status, head, open, done);
}

async function pump(response: OriginResponse, body: FillBody): Promise<KeptBody | undefined> {
  try {
    for await (const chunk of response.body) {
      await body.write(chunk as Buffer);
      if (body.abandoned) throw new Error('nobody reads the body and no tier keeps it');
    }
    return await body.end();
  } catch (error) {
    await body.fail(new Error(`the origin's body broke off: ${messageOf(error)}`, { cause: error }));
    return undefined;
  }
}

function wholeResponse(head: ResponseHead, kept: Exclude<KeptBody, { kind: 'passed' }>) {
  return kept.kind === 'inline'
    ? { head: { ...head, bodyBytes: kept.bytes.length }, inline: kept.bytes }
    : {
        head: { ...head, bodyBytes: kept.bytes, bodyPlace: { kind: 'file', id: kept.id } as const },
        inline: Buffer.alloc(0),
      };
}

export function stored(
  { clock }: Pick<FillContext, 'clock'>,
  request: Pick<FillRequest, 'ticket'>,
  originStatus: number,
  head: ResponseHead,
  open: () => Promise<AnswerBody | undefined>,
  done: Promise<void>,
): StoredArrival {
  const names = varyNames(head.headers);
  const { lifetime, alwaysRevalidate } = head.freshness;
  return {
    kind: 'stored',
    head,
    originStatus,
    shareable: !alwaysRevalidate && ageOf(head, clock()) < lifetime && request.ticket.isCurrent(),
    variantOf: (fields) => variantOf(names, fields),
    open,
    done,
  };
}

/** Puts a whole response into the tiers, under its variant where its fields say that there are several. */
export function store(
  request: Pick<FillRequest, 'headers' | 'policy' | 'ticket' | 'variantListKeptForMs'>,
  head: ResponseHead,
  inlineBody: Buffer,
): boolean {
  const { headers, policy, ticket } = request;
  const filled = entryFor(head, inlineBody);
  const tiers = fillPolicy(policy, head);
  const names = varyNames(head.headers);
  if (names.length === 0) return ticket.commit(filled, tiers);
  const isStored = ticket.commit(filled, tiers, variantOf(names, headers));
  if (isStored) {
    // It answers nothing by itself, but it has to outlive every variant, or they could not be found.
    const { ttlMs, staleWhileRevalidateMs = 0, staleIfErrorMs = 0 } = filled;
    const keptForMs = ttlMs + Math.max(staleWhileRevalidateMs, staleIfErrorMs);
    const listForMs = Math.max(keptForMs, request.variantListKeptForMs());
    ticket.commit({ tags: filled.tags, body: encodeVaries(names), ttlMs: listForMs }, tiers);
  }
  return isStored;
}

/** A file of this process is of no use to other tasks. */
function fillPolicy(policy: RoutePolicy | undefined, head: ResponseHead): FillPolicy {
  const tiers: readonly StoredTier[] = policy?.tiers ?? ['memory', 'l1', 'l2'];
  return { tiers: head.bodyPlace.kind === 'file' ? tiers.filter((tier) => tier !== 'l1') : tiers };
}

/** The body of a stored response; `undefined` when its file is gone. */
export async function openStored(
  bodies: BodyStore | undefined,
  { bodyPlace }: ResponseHead,
  inlineBody: Buffer,
): Promise<AnswerBody | undefined> {
  if (bodyPlace.kind === 'inline') return { kind: 'bytes', bytes: inlineBody };
  const file = await bodies?.open(bodyPlace.id).catch(() => undefined);
  return file && { kind: 'file', file };
}
