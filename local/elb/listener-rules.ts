import type { IncomingMessage } from 'node:http';
import { z } from 'zod';

const Action = z.discriminatedUnion('Type', [
  z.looseObject({
    Type: z.literal('forward'),
    TargetGroupArn: z.string().optional(),
    ForwardConfig: z.looseObject({ TargetGroups: z.array(z.looseObject({ TargetGroupArn: z.string() })) }).optional(),
  }),
  z.looseObject({
    Type: z.literal('fixed-response'),
    FixedResponseConfig: z.object({
      StatusCode: z.coerce.number(),
      ContentType: z.string().optional(),
      MessageBody: z.string().optional(),
    }),
  }),
]);

const Condition = z.discriminatedUnion('Field', [
  z.strictObject({ Field: z.literal('path-pattern'), PathPatternConfig: z.object({ Values: z.array(z.string()) }) }),
  z.strictObject({ Field: z.literal('host-header'), HostHeaderConfig: z.object({ Values: z.array(z.string()) }) }),
  z.strictObject({
    Field: z.literal('http-header'),
    HttpHeaderConfig: z.object({ HttpHeaderName: z.string(), Values: z.array(z.string()) }),
  }),
  z.strictObject({
    Field: z.literal('http-request-method'),
    HttpRequestMethodConfig: z.object({ Values: z.array(z.string()) }),
  }),
]);

/** `DefaultActions` of a listener or `Actions` of a rule: one action; authentication and redirects are not run here. */
export const ListenerActions = z.array(Action).length(1);

/** `Conditions` of a listener rule. */
export const RuleConditions = z.array(Condition).min(1);
export type RuleConditions = z.infer<typeof RuleConditions>;

/** What a listener does with a request. */
export type ListenerAction =
  | { readonly kind: 'forward'; readonly targetGroupArn: string }
  | { readonly kind: 'respond'; readonly status: number; readonly contentType: string; readonly body: string };

/** Reads an action list. @throws on a forward to several groups, whose weights are not run here. */
export function listenerAction(actions: z.infer<typeof ListenerActions>): ListenerAction {
  const [action] = actions;
  if (!action) throw new Error('an action is required');
  if (action.Type === 'fixed-response') {
    const { StatusCode, ContentType = 'text/plain', MessageBody = '' } = action.FixedResponseConfig;
    return { kind: 'respond', status: StatusCode, contentType: ContentType, body: MessageBody };
  }
  const arns = action.ForwardConfig?.TargetGroups.map((group) => group.TargetGroupArn) ?? [action.TargetGroupArn];
  const [targetGroupArn] = arns;
  if (arns.length !== 1 || !targetGroupArn) throw new Error('a forward action must name exactly one target group');
  return { kind: 'forward', targetGroupArn };
}

/** Whether a request meets every condition of a rule. Values are globs with `*` and `?`; paths compare with case. */
export function meets(request: IncomingMessage, conditions: RuleConditions): boolean {
  const [path = '/'] = (request.url ?? '/').split('?', 1);
  return conditions.every((condition) => meetsOne(request, path, condition));
}

function meetsOne(request: IncomingMessage, path: string, condition: z.infer<typeof Condition>): boolean {
  const anyOf = (patterns: readonly string[], value: string, flags?: string) =>
    patterns.some((pattern) => glob(pattern, flags).test(value));
  if (condition.Field === 'path-pattern') return anyOf(condition.PathPatternConfig.Values, path);
  if (condition.Field === 'host-header')
    return anyOf(condition.HostHeaderConfig.Values, request.headers.host ?? '', 'i');
  if (condition.Field === 'http-request-method') {
    return condition.HttpRequestMethodConfig.Values.includes(request.method ?? '');
  }
  const { HttpHeaderName, Values } = condition.HttpHeaderConfig;
  return anyOf(Values, String(request.headers[HttpHeaderName.toLowerCase()] ?? ''), 'i');
}

function glob(pattern: string, flags = ''): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, flags);
}
