const SLAB_BYTES = 4 * 1024;
const LARGEST_IN_SLAB_BYTES = SLAB_BYTES / 8;
const ALIGNMENT = 8;

let slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
let used = 0;

/**
 * Memory for bytes that outlive their request, as entries of a cache do; what is in it is arbitrary. Small ones share
 * slabs with their like only: `Buffer.allocUnsafe` would cut them from slabs of 8 KiB in which nearly everything else is
 * gone a moment later, and each would keep a whole one.
 */
export function keptBytes(length: number): Buffer {
  if (length > LARGEST_IN_SLAB_BYTES) return Buffer.allocUnsafeSlow(length);
  if (used + length > SLAB_BYTES) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    used = 0;
  }
  const bytes = slab.subarray(used, used + length);
  used += Math.ceil(length / ALIGNMENT) * ALIGNMENT;
  return bytes;
}
