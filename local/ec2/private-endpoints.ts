import type { Gate } from './gate';
import type { NetworkInterface } from './security-groups';

/** Opens a gate to one endpoint for one client. `undefined` is a client outside every VPC. */
export type OpenGate = (client: NetworkInterface | undefined, clientName: string) => Promise<Gate>;

const ADDRESS = '127.0.0.1';

/**
 * Endpoints inside a VPC, such as a cache's. In the cloud all clients have one address for it and the network knows who
 * connects; on one machine each client gets a port of its own, written into its environment in place of the endpoint's.
 */
export class PrivateEndpoints {
  private readonly endpoints = new Map<number, OpenGate>();

  /** Announces the endpoint that templates know as `127.0.0.1:<port>`; the result takes it back. */
  add(port: number, open: OpenGate): () => void {
    this.endpoints.set(port, open);
    return () => void this.endpoints.delete(port);
  }

  /** The environment as the client must see it, with gates in place of endpoints; `close` ends them. */
  async seenBy(
    client: NetworkInterface | undefined,
    clientName: string,
    environment: Readonly<Record<string, string>>,
  ): Promise<{ readonly environment: Record<string, string>; close(): Promise<void> }> {
    const gates = new Map<number, Gate>();
    for (const [port, open] of this.endpoints) {
      const isUsed = Object.values(environment).some((value) => mention(port).test(value));
      if (isUsed) gates.set(port, await open(client, clientName));
    }
    const rewritten = Object.entries(environment).map(([name, value]): [string, string] => {
      const seen = [...gates].reduce(
        (text, [port, gate]) => text.replace(mention(port), `${ADDRESS}:${gate.port}`),
        value,
      );
      return [name, seen];
    });
    return {
      environment: Object.fromEntries(rewritten),
      close: async () => void (await Promise.all([...gates.values()].map((gate) => gate.close()))),
    };
  }
}

function mention(port: number): RegExp {
  return new RegExp(`${ADDRESS.replaceAll('.', '\\.')}:${port}(?!\\d)`, 'g');
}
