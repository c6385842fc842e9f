import { PublishCommand } from '@aws-sdk/client-sns';
import type { ControlMessage } from '../core/control-message';
import { controlTopicArn } from '../core/resource-names';
import { ControlError, reasonOf, UsageError } from './errors';
import type { ControlPlane } from './plane';

/** Largest message that SNS carries. Source: Amazon SNS quotas. */
const MAX_MESSAGE_BYTES = 262_144;

/**
 * Publishes one message to the control topic of every region. Each region's log takes it once by its id, so sending
 * again after a failure is safe.
 * @throws UsageError when the message is too large for SNS; ControlError naming every region that did not take it
 */
export async function broadcast(plane: ControlPlane, message: ControlMessage): Promise<void> {
  const body = JSON.stringify(message);
  const bytes = Buffer.byteLength(body);
  if (bytes > MAX_MESSAGE_BYTES) {
    throw new UsageError(
      `the message has ${bytes} bytes and SNS carries at most ${MAX_MESSAGE_BYTES}; name fewer targets`,
    );
  }
  const sent = await Promise.allSettled(plane.regions.map((region) => publishTo(plane, region, body)));
  const failures = plane.regions.flatMap((region, index) => {
    const result = sent[index];
    return result?.status === 'rejected' ? [`${region}: ${reasonOf(result.reason)}`] : [];
  });
  if (failures.length > 0) {
    const reached = plane.regions.length - failures.length;
    throw new ControlError(
      `control message ${message.id} (${message.kind}) reached ${reached} of ${plane.regions.length} regions\n${failures.join('\n')}`,
    );
  }
}

async function publishTo(plane: ControlPlane, region: string, body: string): Promise<void> {
  const topic = controlTopicArn(plane.scope, region);
  await plane.clients.sns(region).send(new PublishCommand({ TopicArn: topic, Message: body }));
}
