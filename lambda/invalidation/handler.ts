import { z } from 'zod';
import { RedisVariables, readEnvironment, redisIam } from '../environment';
import { SharedRedis } from '../redis-connection';
import { type Appended, appendMessage, parseControlMessage } from './append';

/** What SNS sends to a function, as far as it is read. Source: AWS Lambda developer guide, "Amazon SNS event". */
const SnsEvent = z.object({
  Records: z.array(z.object({ Sns: z.object({ MessageId: z.string(), Message: z.string() }) })).min(1),
});

const variables = readEnvironment(RedisVariables, process.env);
const redis = new SharedRedis(variables.REDIS_URL, redisIam(variables));

/**
 * Appends each control message that SNS delivers to the region's log. Fails on a malformed message or an unreachable
 * Valkey; Lambda tries again and then leaves the event, with the error, in the queue `Unapplied`.
 */
export async function handler(event: unknown): Promise<Appended[]> {
  const { Records } = SnsEvent.parse(event);
  const messages = Records.map(({ Sns }) => parseControlMessage(Sns.Message));
  const connection = await redis.connection();
  const appended: Appended[] = [];
  // One after the other: the log keeps the order of delivery.
  for (const message of messages) {
    const place = await appendMessage(connection, message);
    console.log(JSON.stringify({ event: 'control-message', kind: message.kind, id: message.id, ...place }));
    appended.push(place);
  }
  return appended;
}
