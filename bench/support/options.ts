import { parseArgs } from 'node:util';

/** How long a benchmark runs. */
export interface Effort {
  /** Measured time of one contender in one round, seconds. */
  readonly seconds: number;
  /** Times that every contender gets its turn; the tables show medians over them. */
  readonly rounds: number;
}

/** Reads `--seconds` and `--rounds`. Throws naming the option, its value and what is allowed. */
export function readEffort(defaults: Effort): Effort {
  const { values } = parseArgs({ options: { seconds: { type: 'string' }, rounds: { type: 'string' } } });
  return {
    seconds: positive('--seconds', values.seconds, defaults.seconds),
    rounds: Math.ceil(positive('--rounds', values.rounds, defaults.rounds)),
  };
}

/** A number from the command line, or `otherwise` when there is none. Throws when it is not above 0 and below 3600. */
export function positive(option: string, text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!(value > 0 && value < 3_600)) throw new Error(`${option} ${text}: must be a number above 0 and below 3600`);
  return value;
}

/** Runs a benchmark; what fails is one line on standard error and exit code 1. */
export function runBenchmark(main: () => Promise<void>): void {
  main().then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      process.exit(1);
    },
  );
}
