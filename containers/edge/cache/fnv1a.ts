const OFFSET = 0x811c9dc5;
const PRIME = 0x01000193;

/** The 32-bit FNV-1a (Fowler, Noll, Vo) of bytes from `from` to `to`, as a signed integer. */
export function fnv1aOfBytes(bytes: Buffer, from: number, to: number): number {
  let hash = OFFSET;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), PRIME);
  return hash;
}

/** The same over the 16-bit units of a text from `from` on. */
export function fnv1aOfText(text: string, from: number): number {
  let hash = OFFSET;
  for (let at = from; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), PRIME);
  return hash;
}
