/**
 * CRCs that Node has no function for, table driven and reflected.
 * CRC32C: RFC 3720 appendix B.4 (Castagnoli). CRC64/NVME: NVM Express NVM Command Set Specification, section 5.2.1.3.4.
 */
const CRC32C_POLYNOMIAL = 0x82f63b78;
const CRC64_NVME_POLYNOMIAL = 0x9a6c9329ac4bc9b5n;

const crc32cTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) {
    remainder = remainder & 1 ? (remainder >>> 1) ^ CRC32C_POLYNOMIAL : remainder >>> 1;
  }
  return remainder;
});

/** CRC32C of `data` appended to what gave `previous`. */
export function crc32c(data: Uint8Array, previous = 0): number {
  let crc = ~previous;
  for (const byte of data) crc = (crc >>> 8) ^ (crc32cTable[(crc ^ byte) & 0xff] ?? 0);
  return ~crc >>> 0;
}

/** High and low halves of each table entry: 64-bit integers of JavaScript are too slow to use for every byte. */
const [crc64High, crc64Low] = buildCrc64Tables();

function buildCrc64Tables(): [Uint32Array, Uint32Array] {
  const high = new Uint32Array(256);
  const low = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let remainder = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) {
      remainder = remainder & 1n ? (remainder >> 1n) ^ CRC64_NVME_POLYNOMIAL : remainder >> 1n;
    }
    high[byte] = Number(remainder >> 32n);
    low[byte] = Number(remainder & 0xffffffffn);
  }
  return [high, low];
}

/** A 64-bit CRC in two halves. */
export interface Crc64 {
  readonly high: number;
  readonly low: number;
}

/** CRC64/NVME of `data` appended to what gave `previous`. */
export function crc64nvme(data: Uint8Array, previous: Crc64 = { high: 0, low: 0 }): Crc64 {
  let high = ~previous.high;
  let low = ~previous.low;
  for (const byte of data) {
    const index = (low ^ byte) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ (crc64Low[index] ?? 0);
    high = (high >>> 8) ^ (crc64High[index] ?? 0);
  }
  return { high: ~high >>> 0, low: ~low >>> 0 };
}
