import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { APPEND_SCRIPT, CONTROL_KEYS, CONTROL_LOG_LENGTH } from '../../lib/core/control-log';
import { ControlMessage } from '../../lib/core/control-message';
import type { RedisConnection } from '../redis-connection';

/** Where a message stands in the region's control log; `appended` is false when it already stood there. */
export interface Appended {
  readonly epoch: string;
  readonly position: number;
  readonly appended: boolean;
}

const AppendReply = z.tuple([z.string(), z.coerce.number().int().positive(), z.literal([0, 1])]);

/**
 * Reads a control message as it travelled through SNS.
 * @throws saying which field is wrong; delivering the message again would not help.
 */
export function parseControlMessage(text: string): ControlMessage {
  const result = ControlMessage.safeParse(parseJson(text));
  if (result.success) return result.data;
  throw new Error(`not a control message: ${z.prettifyError(result.error)}; got ${text.slice(0, 200)}`);
}

/** Appends a message to the region's control log and announces it to the edge tasks, once however often it is delivered. */
export async function appendMessage(redis: RedisConnection, message: ControlMessage): Promise<Appended> {
  const reply = await redis.eval(APPEND_SCRIPT, {
    keys: [CONTROL_KEYS.epoch, CONTROL_KEYS.head, CONTROL_KEYS.stream, CONTROL_KEYS.seen],
    arguments: [randomUUID(), message.id, JSON.stringify(message), String(CONTROL_LOG_LENGTH), CONTROL_KEYS.channel],
  });
  const [epoch, position, appended] = AppendReply.parse(reply);
  return { epoch, position, appended: appended === 1 };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`not a control message: not JSON: ${text.slice(0, 200)}`, { cause: error });
  }
}
