import type { RequestListener, ServerResponse } from 'node:http';
import { until } from '../cache/fixtures';

/** An origin that numbers its answers. */
export function counting(headers: Record<string, string | string[]>, status = 200): RequestListener {
  let count = 0;
  return (_request, response) => {
    count += 1;
    response.writeHead(status, headers).end(`answer ${count}`);
  };
}

/** An origin that waits: each request is answered when the test says so. */
export function waiting(): { listener: RequestListener; next(): Promise<ServerResponse> } {
  const arrived: ServerResponse[] = [];
  return {
    listener: (_request, response) => void arrived.push(response),
    async next() {
      await until(() => arrived.length > 0);
      const response = arrived.shift();
      if (!response) throw new Error('nobody asked');
      return response;
    },
  };
}
