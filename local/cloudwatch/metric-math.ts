/** Values of a time series, the oldest first; `undefined` where there is none. */
export type Points = readonly (number | undefined)[];

/** A time series, or one number that holds at any time. */
type Value = Points | number;

/** An expression of metric math, read and ready to be computed. */
export interface MathExpression {
  /** Ids of the metrics and expressions that it stands on. */
  readonly ids: ReadonlySet<string>;
  /** @param series of every id of `ids`, all of one length */
  compute(series: (id: string) => Points): Points;
}

type Node = (series: (id: string) => Points) => Value;
type Operator = (a: number, b: number) => number;

const truth = (holds: boolean) => (holds ? 1 : 0);
const OR: Readonly<Record<string, Operator>> = { OR: (a, b) => truth(a !== 0 || b !== 0) };
const AND: Readonly<Record<string, Operator>> = { AND: (a, b) => truth(a !== 0 && b !== 0) };
const COMPARISON: Readonly<Record<string, Operator>> = {
  '==': (a, b) => truth(a === b),
  '!=': (a, b) => truth(a !== b),
  '<=': (a, b) => truth(a <= b),
  '>=': (a, b) => truth(a >= b),
  '<': (a, b) => truth(a < b),
  '>': (a, b) => truth(a > b),
};
const SUM: Readonly<Record<string, Operator>> = { '+': (a, b) => a + b, '-': (a, b) => a - b };
const PRODUCT: Readonly<Record<string, Operator>> = { '*': (a, b) => a * b, '/': (a, b) => a / b };
/** From the loosest to the tightest. */
const LEVELS = [OR, AND, COMPARISON, SUM, PRODUCT];

const AGGREGATES: Readonly<Record<string, (values: readonly number[]) => number>> = {
  MAX: (values) => Math.max(...values),
  MIN: (values) => Math.min(...values),
  SUM: (values) => values.reduce((sum, value) => sum + value, 0),
  AVG: (values) => values.reduce((sum, value) => sum + value, 0) / values.length,
};

const TOKEN = /\s*(\d+(?:\.\d+)?|[A-Za-z_]\w*|[<>=!]=|&&|\|\||[-+*/<>()[\],])/y;

/**
 * Reads the part of CloudWatch's metric math that alarms of templates use: numbers, ids of metrics and expressions,
 * `+ - * /`, comparisons, `AND`, `OR`, `IF`, `FILL` with a number, and `MAX`, `MIN`, `SUM`, `AVG` over a list.
 * Where an operand has no value there is no result, and where the result is no finite number there is none either.
 * Source: CloudWatch user guide, "Use metric math".
 *
 * @throws Error that names what is not understood
 */
export function parseMetricMath(text: string): MathExpression {
  const parser = new Parser(text);
  const node = parser.expression();
  parser.end();
  if (parser.ids.size === 0) throw new Error(`expression ${text}: it names no metric`);
  return {
    ids: parser.ids,
    compute: (series) => {
      const value = node(series);
      return typeof value === 'number' ? [] : value;
    },
  };
}

class Parser {
  readonly ids = new Set<string>();
  private readonly tokens: string[] = [];
  private at = 0;

  constructor(private readonly text: string) {
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < text.trimEnd().length) {
      const from = TOKEN.lastIndex;
      const [, token] = TOKEN.exec(text) ?? [];
      if (token === undefined) throw this.error(`${JSON.stringify(text.slice(from).trim())} is not understood here`);
      this.tokens.push(token === '&&' ? 'AND' : token === '||' ? 'OR' : token);
    }
  }

  expression(level = 0): Node {
    const operators = LEVELS[level];
    if (operators === undefined) return this.operand();
    let left = this.expression(level + 1);
    for (let operator = operators[this.next() ?? '']; operator; operator = operators[this.next() ?? '']) {
      this.at += 1;
      left = combined(operator, left, this.expression(level + 1));
    }
    return left;
  }

  end(): void {
    const rest = this.next();
    if (rest !== undefined) throw this.error(`${rest} is not expected there`);
  }

  private operand(): Node {
    const token = this.take();
    if (token === '-')
      return combined(
        (a, b) => a * b,
        () => -1,
        this.operand(),
      );
    if (token === '(') {
      const inner = this.expression();
      this.require(')');
      return inner;
    }
    if (/^\d/.test(token)) return () => Number(token);
    if (!/^[A-Za-z_]/.test(token)) throw this.error(`${token} is not expected there`);
    if (this.next() === '(') return this.call(token);
    // Ids of metrics begin with a small letter; anything else is a word of the language.
    if (!/^[a-z]/.test(token)) throw this.error(`${token} is not understood here`);
    this.ids.add(token);
    return (series) => series(token);
  }

  private call(name: string): Node {
    this.require('(');
    const aggregate = AGGREGATES[name];
    if (aggregate) {
      const list = this.list();
      this.require(')');
      return (series) =>
        pointwise(
          list.map((node) => node(series)),
          aggregate,
          true,
        );
    }
    if (name !== 'IF' && name !== 'FILL') {
      throw this.error(`function ${name} is not run here; these are: IF, FILL, ${Object.keys(AGGREGATES).join(', ')}`);
    }
    const parts = this.arguments(')');
    const [first, second, third] = parts;
    if (name === 'FILL' && first && second && parts.length === 2) return this.fill(first, second);
    if (name === 'IF' && first && second && third && parts.length === 3) return chosen(first, second, third);
    throw this.error(`${name} takes ${name === 'IF' ? 'a condition and two values' : 'a metric and a number'}`);
  }

  private fill(node: Node, filler: Node): Node {
    return (series) => {
      const value = node(series);
      const instead = filler(series);
      if (typeof instead !== 'number') throw this.error('FILL is run with a number only');
      return typeof value === 'number' ? value : value.map((point) => point ?? instead);
    };
  }

  private list(): Node[] {
    this.require('[');
    return this.arguments(']');
  }

  private arguments(close: string): Node[] {
    const nodes = [this.expression()];
    while (this.next() === ',') {
      this.at += 1;
      nodes.push(this.expression());
    }
    this.require(close);
    return nodes;
  }

  private next(): string | undefined {
    return this.tokens[this.at];
  }

  private take(): string {
    const token = this.next();
    if (token === undefined) throw this.error('it ends too early');
    this.at += 1;
    return token;
  }

  private require(wanted: string): void {
    const token = this.take();
    if (token !== wanted) throw this.error(`${token} stands where ${wanted} is expected`);
  }

  private error(why: string): Error {
    return new Error(`expression ${this.text}: ${why}`);
  }
}

function combined(operator: Operator, left: Node, right: Node): Node {
  return (series) => pointwise([left(series), right(series)], ([a = 0, b = 0]) => operator(a, b), false);
}

function chosen(condition: Node, yes: Node, no: Node): Node {
  return (series) => {
    const test = condition(series);
    const [first, second] = [yes(series), no(series)];
    if (typeof test === 'number') return test === 0 ? second : first;
    return test.map((point, at) => (point === undefined ? undefined : pointAt(point === 0 ? second : first, at)));
  };
}

/** @param skipsMissing whether values that are missing are left out instead of making the result missing */
function pointwise(values: readonly Value[], compute: (at: number[]) => number, skipsMissing: boolean): Value {
  const length = values.find((value): value is Points => typeof value !== 'number')?.length;
  if (length === undefined) return compute(values.map(Number));
  return Array.from({ length }, (_, at) => {
    const points = values.map((value) => pointAt(value, at));
    const present = points.filter((point) => point !== undefined);
    if (present.length === 0 || (!skipsMissing && present.length < points.length)) return undefined;
    const result = compute(present);
    return Number.isFinite(result) ? result : undefined;
  });
}

function pointAt(value: Value, at: number): number | undefined {
  return typeof value === 'number' ? value : value[at];
}
