import { setTimeout as sleep } from 'node:timers/promises';

/** Addresses of viewers near each region. */
export const VIEWERS = { 'us-east-1': '3.14.10.10', 'eu-west-1': '2.7.10.10', 'ap-northeast-1': '1.21.10.10' } as const;
export type Region = keyof typeof VIEWERS;
export const REGIONS = Object.keys(VIEWERS) as Region[];

export interface Prediction {
  readonly prediction: number;
  readonly cached: boolean;
  readonly edge_region: string;
  readonly model: string;
  readonly version: string;
}

let nextRow = 0;

/** Features that no request had before, so that the first answer is computed. */
export function freshFeatures(): number[] {
  nextRow += 1;
  return Array.from({ length: 8 }, (_, i) => Math.round(Math.sin(nextRow * 13 + i) * 1000) / 1000);
}

/** What viewers near the regions ask of a CDN. */
export class Viewers {
  constructor(private readonly url: () => string) {}

  call(region: Region, path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.url()}${path}`, {
      ...init,
      headers: {
        'content-type': 'application/json',
        ...(init.headers as Record<string, string>),
        'x-viewer-ip': VIEWERS[region],
      },
    });
  }

  /** @throws with status and body of an answer that is no prediction */
  async post(region: Region, features: readonly number[]): Promise<{ body: Prediction; tier: string }> {
    const response = await this.call(region, '/predict', { method: 'POST', body: JSON.stringify({ features }) });
    const body = await predictionOf(response, 'POST /predict');
    const status = response.headers.get('cache-status') ?? '';
    return { body, tier: /hit/.test(status) ? (/detail=(\w+)/.exec(status)?.[1] ?? 'unnamed') : 'computed' };
  }

  /** @throws with status and body of an answer that is no prediction */
  async get(region: Region, features: readonly number[]): Promise<{ body: Prediction; pop: string }> {
    const response = await this.call(region, `/predict?model=ranker&features=${features.join(',')}`);
    return { body: await predictionOf(response, 'GET /predict'), pop: response.headers.get('x-cache') ?? '' };
  }

  /** A POST as `docs/clients.md` tells clients to send it: again, after `Retry-After` or a pause of one's own. */
  async postUntilAnswered(region: Region, features: readonly number[], seconds = 60): Promise<Prediction> {
    const body = JSON.stringify({ features });
    const deadline = Date.now() + seconds * 1000;
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.call(region, '/predict', { method: 'POST', body }).catch(() => undefined);
      if (answer?.ok) return (await answer.json()) as Prediction;
      const why = answer ? `${answer.status} ${await answer.text()}` : 'no answer';
      const again = answer === undefined || [429, 502, 503, 504].includes(answer.status);
      if (!again || Date.now() > deadline) throw new Error(`POST /predict, attempt ${attempt}: ${why}`);
      const asked = Number(answer?.headers.get('retry-after')) * 1000;
      await sleep(asked || Math.random() * Math.min(1_000, 100 * 2 ** attempt));
    }
  }
}

async function predictionOf(response: Response, what: string): Promise<Prediction> {
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${what}: ${response.status} ${text}`);
  try {
    return JSON.parse(text) as Prediction;
  } catch {
    throw new Error(`${what}: 200 with a body that is not JSON: ${text}`);
  }
}

/** Sends requests until stopped; keeps every answer and every failure. */
export function traffic(send: () => Promise<Prediction>) {
  const answers: Prediction[] = [];
  const failures: unknown[] = [];
  let running = true;
  const loop = (async () => {
    while (running) {
      try {
        answers.push(await send());
      } catch (error) {
        failures.push(error);
      }
      await sleep(10);
    }
  })();
  return {
    answers,
    failures,
    async stop() {
      running = false;
      await loop;
    },
  };
}
