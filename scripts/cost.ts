/**
 * What the stacks of a synthesized assembly cost a month before anybody calls them: `npm run cost -- ASSEMBLY_DIR [--json]`.
 * Every resource of every template is priced by `lib/config/prices.json`; what has no price there is named, never 0.
 */
import Table from 'cli-table3';
import { readAssembly } from '../local/engine/assembly';
import { amount, type MonthlyCost, monthlyCost } from './cost/monthly-cost';
import { PRICE_SOURCE } from './cost/price-list';

const usd = (value: number) => value.toFixed(2);

function print({ stacks, total, unpriced, byUse }: MonthlyCost): void {
  const table = new Table({
    head: ['stack', 'what', 'count', 'USD each', 'USD a month'],
    colAligns: ['left', 'left', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const { stackName, costs, total: ofStack } of stacks) {
    for (const cost of costs) {
      const price = cost.each === undefined ? ['no price', 'no price'] : [usd(cost.each), usd(amount(cost))];
      table.push([stackName, cost.what, cost.count, ...price]);
    }
    table.push([stackName, 'together', '', '', usd(ofStack)]);
  }
  console.log(table.toString());
  console.log(`\nAll stacks: ${usd(total)} USD a month at rest, by list prices of ${PRICE_SOURCE.published}.`);
  console.log(`Prices: ${PRICE_SOURCE.source}`);
  if (unpriced.length > 0) console.log(`Not in the sum, for want of a price: ${unpriced.join('; ')}.`);
  console.log(`Costs by use, not in the sum: ${byUse.join(', ')}, data transfer, and requests to all of them.`);
}

function main([directory, ...flags]: readonly string[]): void {
  const isUsage = directory !== undefined && flags.every((flag) => flag === '--json') && !directory.startsWith('-');
  if (!isUsage) {
    console.error('usage: npm run cost -- ASSEMBLY_DIR [--json], where ASSEMBLY_DIR is what `cdk synth -o` wrote');
    process.exitCode = 2;
    return;
  }
  const cost = monthlyCost(readAssembly(directory));
  if (flags.length > 0) console.log(JSON.stringify({ prices: PRICE_SOURCE, ...cost }, undefined, 2));
  else print(cost);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
