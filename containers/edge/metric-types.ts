import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

type Labels = Readonly<Record<string, string>>;

/** A value with its labels. */
export type Sample = readonly [labels: Labels, value: number];

/** Observations in the slot of the first bucket that holds them, one more slot for those above all buckets. */
export interface Distribution {
  readonly slots: ArrayLike<number>;
  readonly sum: number;
}

/** A counter whose values are read at each scrape; they must never go down. */
export function counter(registry: Registry, name: string, help: string, read: () => readonly Sample[]): void {
  new Counter({
    name,
    help,
    labelNames: ['status', 'cache_level', 'reason', 'model', 'version'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.inc(labels, value);
    },
  });
}

/** A gauge whose values are read at each scrape. */
export function gauge(registry: Registry, name: string, help: string, read: () => readonly Sample[]): void {
  new Gauge({
    name,
    help,
    labelNames: ['cache_level', 'model', 'version'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.set(labels, value);
    },
  });
}

/** A histogram whose distributions are read at each scrape. */
export function histogram(
  registry: Registry,
  name: string,
  help: string,
  buckets: readonly number[],
  read: () => readonly (readonly [Labels, Distribution])[],
): void {
  registry.registerMetric(new ReadHistogram({ name, help, buckets: [...buckets], registers: [] }, read));
}

type HistogramConfig = ConstructorParameters<typeof Histogram<string>>[0] & { readonly buckets: number[] };

/** The client library's histogram counts by itself only; this one is told. */
class ReadHistogram extends Histogram<string> {
  readonly #config: HistogramConfig;
  readonly #read: () => readonly (readonly [Labels, Distribution])[];

  constructor(config: HistogramConfig, read: () => readonly (readonly [Labels, Distribution])[]) {
    super(config);
    this.#config = config;
    this.#read = read;
  }

  /** What is asked for when metrics are read as JSON; the library's own looks for labels where only its histograms have them. */
  override get(): ReturnType<Histogram<string>['get']> {
    // Their types ask for what only the registry's own code has.
    return this.getForPromString() as unknown as ReturnType<Histogram<string>['get']>;
  }

  /** What the client library asks for at a scrape. */
  async getForPromString() {
    const { name, help } = this.#config;
    const values = this.#read().flatMap(([labels, distribution]) => this.#samples(labels, distribution));
    return { name, help, type: 'histogram', aggregator: 'sum', values };
  }

  #samples(labels: Labels, { slots, sum }: Distribution) {
    const { name, buckets } = this.#config;
    let below = 0;
    const cumulative = [...buckets, '+Inf'].map((le, slot) => {
      below += slots[slot] ?? 0;
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: below };
    });
    return [
      ...cumulative,
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: below },
    ];
  }
}
