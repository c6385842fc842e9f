import type { Registry } from 'prom-client';

type Labels = Readonly<Record<string, string>>;

/** One line of a metrics page. */
interface PageSample {
  readonly labels: Labels;
  readonly value: number;
}

/** A scrape of Prometheus metrics, read by the names that the text format gives its lines. */
export class MetricPage {
  readonly #samples = new Map<string, PageSample[]>();

  constructor(metrics: Awaited<ReturnType<Registry['getMetricsAsJSON']>>) {
    for (const metric of metrics) {
      for (const { value, labels, ...rest } of metric.values) {
        // A histogram's lines have names of their own, which the library's types leave out.
        const name = 'metricName' in rest && typeof rest.metricName === 'string' ? rest.metricName : metric.name;
        const sample = { labels: textLabels(labels), value };
        const known = this.#samples.get(name);
        if (known) known.push(sample);
        else this.#samples.set(name, [sample]);
      }
    }
  }

  samples(name: string): readonly PageSample[] {
    return this.#samples.get(name) ?? [];
  }

  /** Sum over the lines whose labels `where` takes; `undefined` when there is none. */
  sum(name: string, where: (labels: Labels) => boolean = () => true): number | undefined {
    const taken = this.samples(name).filter(({ labels }) => where(labels));
    return taken.length === 0 ? undefined : taken.reduce((sum, { value }) => sum + value, 0);
  }
}

function textLabels(labels: object): Labels {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]));
}
