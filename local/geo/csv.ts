import { readFileSync } from 'node:fs';

/**
 * Reads a comma-separated file with a header line and no quoting, as the files of `local/data` are.
 *
 * @throws when a line has not as many fields as the header.
 */
export function readCsv(file: string): Readonly<Record<string, string>>[] {
  const [header = '', ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n');
  const names = header.split(',');
  return lines.map((line, index) => {
    const fields = line.split(',');
    if (fields.length !== names.length) {
      throw new Error(`${file} line ${index + 2} has ${fields.length} fields, its header has ${names.length}`);
    }
    return Object.fromEntries(names.map((name, column) => [name, fields[column] ?? '']));
  });
}

/**
 * A numeric field of a row.
 *
 * @throws when the field is missing or not a number.
 */
export function numberField(row: Readonly<Record<string, string>>, name: string): number {
  const value = Number(row[name] || Number.NaN);
  if (Number.isNaN(value)) throw new Error(`field ${name} is ${JSON.stringify(row[name])}, not a number`);
  return value;
}
