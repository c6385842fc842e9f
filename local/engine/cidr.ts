/**
 * Splits an IPv4 block into `count` equal blocks of `hostBits` host bits, as `Fn::Cidr` does.
 *
 * @throws when the block is not IPv4 CIDR or too small for that many blocks.
 */
export function cidrBlocks(block: string, count: number, hostBits: number): string[] {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(block);
  if (!match) throw new Error(`${block} is not an IPv4 CIDR block`);
  const [a = 0, b = 0, c = 0, d = 0, prefix = 0] = match.slice(1).map(Number);
  const first = ((a * 256 + b) * 256 + c) * 256 + d;
  const size = 2 ** hostBits;
  if (!Number.isInteger(count) || count < 1 || count * size > 2 ** (32 - prefix)) {
    throw new Error(`${block} does not hold ${count} blocks of ${size} addresses`);
  }
  return Array.from({ length: count }, (_, index) => `${dotted(first + index * size)}/${32 - hostBits}`);
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}
