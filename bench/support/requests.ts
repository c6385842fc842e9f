/** What a load generator asks for. The n-th request of a kind is the same in every process. */
export type RequestKind = 'post predict' | 'get predict' | 'get object';

/** Bytes on the wire of the n-th request of a kind. */
export function requestBytes(kind: RequestKind, n: number): Buffer {
  switch (kind) {
    case 'post predict': {
      const body = JSON.stringify({ features: features(n) });
      return Buffer.from(
        `POST /predict HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
    }
    case 'get predict':
      return get(`/predict?model=ranker&features=${features(n).join(',')}`);
    case 'get object':
      return get(`/object/${n}`);
  }
}

function get(path: string): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nhost: bench\r\n\r\n`);
}

/** A row of the project's own model, another one for every n below 10^9. */
function features(n: number): number[] {
  const digits = (from: number) => 1 + (Math.floor(n / from) % 1000) / 100;
  return [digits(1), digits(1_000), digits(1_000_000), 18, 20, 1, 4.6, 1];
}
