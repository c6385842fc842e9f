import Table from 'cli-table3';

/** Prints a table with the first column left and the others right aligned, and the Node version under it. */
export function printTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const table = new Table({
    head: [...head],
    colAligns: head.map((_, column) => (column === 0 ? 'left' : 'right')),
    style: { head: [], border: [] },
  });
  table.push(...rows.map((row) => [...row]));
  console.log(table.toString());
  console.log(`Node ${process.version}\n`);
}

/** The middle value; the mean of the middle two of an even number. `NaN` of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Median of what each value is to its partner of the same round. */
export function pairedRatio(values: readonly number[], partners: readonly number[]): number {
  return median(values.map((value, round) => value / (partners[round] ?? Number.NaN)));
}

/** The value that a share `q` (0 to 1) of the values does not exceed, by the nearest rank. `NaN` of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

/** A number with about three significant digits. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return value.toPrecision(3).replace(/\.?0+$/, '');
}
