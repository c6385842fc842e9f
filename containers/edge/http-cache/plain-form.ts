import { fieldLines } from '../http/wire/field-lines';
import { flatFields } from './answer';
import { fieldValue } from './fields';
import type { ResponseHead } from './stored-response';

/** What a plain GET's answer needs of a stored response: stored beside its head, so that a hit reads no JSON. */
export interface PlainForm {
  readonly status: number;
  /** Status line and all fields that stay, each line ended by CRLF; a character for every byte. */
  readonly start: string;
  /** `Cache-Status` of the caches behind; empty without one. */
  readonly statusBehind: string;
  /** ms since 1970. */
  readonly responseTime: number;
  /** Seconds. */
  readonly initialAge: number;
  /** Seconds; negative for a response that never answers before the origin has been asked. */
  readonly lifetime: number;
}

/** What a field line may carry without ending it. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** `undefined` for what is left to others: parts, bodies in files, statuses without a body, and what Node refuses to send. */
export function plainFormOf(head: ResponseHead, bodyBytes: number): PlainForm | undefined {
  const { status, statusText, responseTime, freshness } = head;
  if (head.part || head.bodyPlace.kind !== 'inline' || status === 204) return undefined;
  const statusBehind = fieldValue(head.headers, 'cache-status') ?? '';
  const fields = [...flatFields(head), 'content-length', String(bodyBytes)];
  if (![statusText, statusBehind, ...fields].every((text) => FIELD_VALUE.test(text))) return undefined;
  return {
    status,
    start: `HTTP/1.1 ${status} ${statusText}\r\n${fieldLines(fields)}`,
    statusBehind,
    responseTime,
    initialAge: freshness.initialAge,
    lifetime: freshness.alwaysRevalidate ? -1 : freshness.lifetime,
  };
}

const NUMBERS_BYTES = 2 + 2 + 3 * 8;

/** u16 status, u16 bytes of `statusBehind`, f64 responseTime, initialAge and lifetime, `statusBehind`, `start`. Little-endian. */
export function encodePlainForm(form: PlainForm): Buffer {
  const { status, start, statusBehind } = form;
  const out = Buffer.allocUnsafe(NUMBERS_BYTES + statusBehind.length + start.length);
  let at = out.writeUInt16LE(status, 0);
  at = out.writeUInt16LE(statusBehind.length, at);
  at = out.writeDoubleLE(form.responseTime, at);
  at = out.writeDoubleLE(form.initialAge, at);
  at = out.writeDoubleLE(form.lifetime, at);
  at += out.write(statusBehind, at, 'latin1');
  out.write(start, at, 'latin1');
  return out;
}

/** Reads what `encodePlainForm` wrote, from `from` to `to`; `undefined` when nothing whole lies there. */
export function decodePlainForm(bytes: Buffer, from: number, to: number): PlainForm | undefined {
  const behindAt = from + NUMBERS_BYTES;
  if (behindAt > to) return undefined;
  const startAt = behindAt + bytes.readUInt16LE(from + 2);
  if (startAt > to) return undefined;
  return {
    status: bytes.readUInt16LE(from),
    start: bytes.toString('latin1', startAt, to),
    statusBehind: startAt === behindAt ? '' : bytes.toString('latin1', behindAt, startAt),
    responseTime: bytes.readDoubleLE(from + 4),
    initialAge: bytes.readDoubleLE(from + 12),
    lifetime: bytes.readDoubleLE(from + 20),
  };
}
