import {
  type CloudFrontClient,
  type DistributionConfig,
  GetDistributionCommand,
  type Origin,
  PreconditionFailed,
  UpdateDistributionCommand,
} from '@aws-sdk/client-cloudfront';
import { ORIGIN_KEY_HEADERS, ORIGIN_KEYS, type OriginKey } from '../../lib/core/origin-keys';

/** Others write the distribution rarely: this many in a row is something else. */
const MAX_ATTEMPTS = 5;

/** What the distribution sends of one key. */
export interface Sending {
  /** Whether every POP has the configuration that was read. */
  readonly deployed: boolean;
  /** Different values over the origins; one but for a rotation or a deployment that was cut off. */
  readonly values: readonly string[];
}

/** The distribution, as far as it sends origin keys. */
export class Sender {
  constructor(
    private readonly client: CloudFrontClient,
    readonly distributionId: string,
  ) {}

  async sending(key: OriginKey): Promise<Sending> {
    const { status, config } = await this.read();
    const values = this.keyedOrigins(config).map((origin) => headerOf(origin, key)?.HeaderValue ?? '');
    return { deployed: status === 'Deployed', values: [...new Set(values)] };
  }

  /**
   * Lets every origin that is sent keys be sent this one; all else stays, whoever else writes the distribution meanwhile.
   * @throws Error when other writers kept winning
   */
  async send(key: OriginKey, value: string): Promise<void> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const { etag, config } = await this.read();
      for (const origin of this.keyedOrigins(config)) {
        const header = headerOf(origin, key);
        if (header) header.HeaderValue = value;
      }
      try {
        await this.client.send(
          new UpdateDistributionCommand({ Id: this.distributionId, IfMatch: etag, DistributionConfig: config }),
        );
        console.log(JSON.stringify({ event: 'distribution-changed', key, distribution: this.distributionId }));
        return;
      } catch (error) {
        if (!(error instanceof PreconditionFailed)) throw error;
      }
    }
    throw new Error(`distribution ${this.distributionId} kept changing under ${MAX_ATTEMPTS} attempts to update it`);
  }

  private async read(): Promise<{ status: string | undefined; etag: string | undefined; config: DistributionConfig }> {
    const { Distribution, ETag } = await this.client.send(new GetDistributionCommand({ Id: this.distributionId }));
    if (!Distribution?.DistributionConfig) throw new Error(`distribution ${this.distributionId} has no configuration`);
    return { status: Distribution.Status, etag: ETag, config: Distribution.DistributionConfig };
  }

  /** Origins that are sent keys. @throws Error when there is none, or one is not sent both */
  private keyedOrigins({ Origins }: DistributionConfig): Origin[] {
    const keyed = (Origins?.Items ?? []).filter((origin) => ORIGIN_KEYS.some((key) => headerOf(origin, key)));
    const partial = keyed.find((origin) => !ORIGIN_KEYS.every((key) => headerOf(origin, key)));
    if (keyed.length > 0 && !partial) return keyed;
    const headers = ORIGIN_KEYS.map((key) => ORIGIN_KEY_HEADERS[key]).join(' and ');
    throw new Error(
      `distribution ${this.distributionId}: ${partial ? `origin ${partial.Id} is not` : 'no origin is'} sent ${headers}; deploy the global stack`,
    );
  }
}

function headerOf({ CustomHeaders }: Origin, key: OriginKey) {
  return CustomHeaders?.Items?.find(({ HeaderName }) => HeaderName?.toLowerCase() === ORIGIN_KEY_HEADERS[key]);
}
