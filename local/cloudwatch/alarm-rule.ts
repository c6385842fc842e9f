import type { AlarmState } from './alarm-state';

/** The rule of a composite alarm. */
export interface AlarmRule {
  /** Names or ARNs of the alarms that it asks for. */
  readonly alarms: ReadonlySet<string>;
  fires(stateOf: (alarm: string) => AlarmState): boolean;
}

type Node = (stateOf: (alarm: string) => AlarmState) => boolean;

const TOKEN = /\s*(\(|\)|AND\b|OR\b|NOT\b|TRUE\b|FALSE\b|(?:ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*"?([^")]+?)"?\s*\))/y;

/**
 * Reads the rule of a composite alarm: `ALARM`, `OK` and `INSUFFICIENT_DATA` of alarms, with `AND`, `OR`, `NOT`,
 * `TRUE`, `FALSE` and parentheses; `AND` binds tighter than `OR`.
 * Source: CloudWatch API reference, `PutCompositeAlarm`.
 *
 * @throws Error that says where the rule is not understood
 */
export function parseAlarmRule(text: string): AlarmRule {
  const tokens: { readonly text: string; readonly alarm: string | undefined }[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const from = TOKEN.lastIndex;
    const [, token, alarm] = TOKEN.exec(text) ?? [];
    if (token === undefined) throw new Error(`AlarmRule: ${JSON.stringify(text.slice(from).trim())} is not understood`);
    tokens.push({ text: token, alarm });
  }
  const alarms = new Set(tokens.flatMap(({ alarm }) => alarm ?? []));
  let at = 0;

  const either = (): Node => {
    let left = both();
    while (tokens[at]?.text === 'OR') {
      at += 1;
      const [first, second] = [left, both()];
      left = (stateOf) => first(stateOf) || second(stateOf);
    }
    return left;
  };
  const both = (): Node => {
    let left = one();
    while (tokens[at]?.text === 'AND') {
      at += 1;
      const [first, second] = [left, one()];
      left = (stateOf) => first(stateOf) && second(stateOf);
    }
    return left;
  };
  const one = (): Node => {
    const token = tokens[at];
    at += 1;
    if (token?.text === 'NOT') {
      const inner = one();
      return (stateOf) => !inner(stateOf);
    }
    if (token?.text === '(') {
      const inner = either();
      if (tokens[at]?.text !== ')') throw new Error(`AlarmRule: a parenthesis of ${text} is not closed`);
      at += 1;
      return inner;
    }
    if (token?.text === 'TRUE' || token?.text === 'FALSE') return () => token.text === 'TRUE';
    const { alarm } = token ?? {};
    if (token === undefined || alarm === undefined) throw new Error(`AlarmRule: ${text} lacks an alarm`);
    const [wanted = ''] = token.text.split(/[\s(]/, 1);
    return (stateOf) => stateOf(alarm) === wanted;
  };

  const fires = either();
  if (at < tokens.length) throw new Error(`AlarmRule: ${tokens[at]?.text} is not expected in ${text}`);
  return { alarms, fires };
}
