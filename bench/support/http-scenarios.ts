import type { AnsweredBy } from './contenders';
import type { RequestKind } from './requests';

/** What is asked for over HTTP, and which tier is to answer. */
export interface Scenario {
  readonly title: string;
  readonly kind: RequestKind;
  readonly answeredBy: AnsweredBy;
  /** Distinct requests; 0: every request is another one. */
  readonly keys: number;
  /** Whether nginx and Varnish answer as well. */
  readonly proxies: boolean;
  /** Whether latency is measured under a load below saturation. */
  readonly openLoop: boolean;
}

/** Many times what the smallest memory tier holds. */
const MANY_KEYS = 20_000;

export const HTTP_SCENARIOS: readonly Scenario[] = [
  {
    title: 'GET object, memory hit',
    kind: 'get object',
    answeredBy: 'memory',
    keys: 1_000,
    proxies: true,
    openLoop: true,
  },
  {
    title: 'GET /predict, memory hit',
    kind: 'get predict',
    answeredBy: 'memory',
    keys: 1_000,
    proxies: false,
    openLoop: false,
  },
  {
    title: 'POST /predict, memory hit',
    kind: 'post predict',
    answeredBy: 'memory',
    keys: 1_000,
    proxies: false,
    openLoop: true,
  },
  {
    title: 'POST /predict, L1 hit',
    kind: 'post predict',
    answeredBy: 'l1',
    keys: MANY_KEYS,
    proxies: false,
    openLoop: false,
  },
  {
    title: 'POST /predict, L2 hit',
    kind: 'post predict',
    answeredBy: 'l2',
    keys: MANY_KEYS,
    proxies: false,
    openLoop: false,
  },
  {
    title: 'GET object, L1 hit',
    kind: 'get object',
    answeredBy: 'l1',
    keys: MANY_KEYS,
    proxies: false,
    openLoop: false,
  },
  {
    title: 'GET object, L2 hit',
    kind: 'get object',
    answeredBy: 'l2',
    keys: MANY_KEYS,
    proxies: false,
    openLoop: false,
  },
  {
    title: 'POST /predict, miss',
    kind: 'post predict',
    answeredBy: 'origin',
    keys: 0,
    proxies: false,
    openLoop: false,
  },
];
