import { CreateInvalidationCommand, GetInvalidationCommand } from '@aws-sdk/client-cloudfront';
import { UsageError } from './errors';
import type { ControlPlane } from './plane';
import { pollUntil } from './polling';

/** Items of one CloudFront invalidation, without wildcards. Source: CloudFront quotas, "File invalidation". */
const MAX_ITEMS = 3_000;

/** An invalidation as CloudFront reports it. */
export interface CloudFrontReceipt {
  readonly id: string;
  /** Paths, and tags as `#tag`. */
  readonly items: readonly string[];
  /** `InProgress` or `Completed`. */
  readonly status: string;
}

/**
 * Items by which CloudFront invalidates tags and paths.
 * @throws UsageError for a path that CloudFront would refuse or misread, or too many items
 */
export function cloudFrontItems(tags: readonly string[], paths: readonly string[]): string[] {
  for (const path of paths) {
    if (!/^\/[\x21-\x7e]*$/.test(path)) {
      throw new UsageError(`path ${JSON.stringify(path)} must start with '/' and be percent-encoded ASCII`);
    }
    if (path.slice(0, -1).includes('*')) {
      throw new UsageError(`path ${JSON.stringify(path)} may have '*' only at its end`);
    }
  }
  const items = [...tags.map((tag) => `#${tag}`), ...paths];
  if (items.length > MAX_ITEMS) {
    throw new UsageError(
      `${items.length} tags and paths are more than the ${MAX_ITEMS} of one CloudFront invalidation`,
    );
  }
  return items;
}

/** Starts an invalidation. `reference` makes it idempotent: the same one again starts nothing new. */
export async function createInvalidation(
  plane: ControlPlane,
  items: readonly string[],
  reference: string,
): Promise<CloudFrontReceipt> {
  const { Invalidation } = await plane.clients.cloudFront.send(
    new CreateInvalidationCommand({
      DistributionId: plane.distributionId,
      InvalidationBatch: { CallerReference: reference, Paths: { Quantity: items.length, Items: [...items] } },
    }),
  );
  if (!Invalidation?.Id) throw new Error('CloudFront answered without the id of the invalidation');
  return { id: Invalidation.Id, items, status: Invalidation.Status ?? 'InProgress' };
}

/**
 * Waits until CloudFront has carried an invalidation out at every POP.
 * @throws ControlError when time is over
 */
export async function awaitInvalidation(
  plane: ControlPlane,
  receipt: CloudFrontReceipt,
  timeoutMs: number,
): Promise<CloudFrontReceipt> {
  const probe = async (): Promise<CloudFrontReceipt | undefined> => {
    const { Invalidation } = await plane.clients.cloudFront.send(
      new GetInvalidationCommand({ DistributionId: plane.distributionId, Id: receipt.id }),
    );
    return Invalidation?.Status === 'Completed' ? { ...receipt, status: 'Completed' } : undefined;
  };
  return pollUntil(probe, {
    clock: plane.clock,
    timeoutMs,
    describe: () => `CloudFront invalidation ${receipt.id} is not completed`,
  });
}
