import type { OriginKey } from '../../lib/core/origin-keys';
import type { Entrances } from './entrances';
import type { KeySecrets } from './key-secrets';
import type { Sender } from './sender';

/** How often something that takes its time is looked at, ms. */
const LOOK_EVERY_MS = 5_000;

/** Everything that has to agree on a key, and the time there is. */
export interface Parts {
  readonly secrets: KeySecrets;
  readonly entrances: Entrances;
  readonly sender: Sender;
  /**
   * Longest time, ms, from CloudFormation's reading of a secret to its writing of the rule or distribution that refers to
   * it, and of a changed rule to all of its load balancer. What was found right is relied upon this long after a change.
   */
  readonly settleMs: number;
  /** Time that is left for the step, ms. */
  remainingMs(): number;
  pause(ms: number): Promise<void>;
}

/**
 * What keeps a key from being in force; nothing when templates of every region are given its current value, every load
 * balancer accepts it, and every POP sends it. Changes nothing.
 */
export async function faultsOf(key: OriginKey, { secrets, entrances, sender }: Parts): Promise<string[]> {
  const value = await secrets.current(key);
  const [behind, rules, sending] = await Promise.all([
    secrets.behind(key, value),
    secrets.regions(key).then((regions) => entrances.rules(key, regions)),
    sender.sending(key),
  ]);
  const { distributionId } = sender;
  return [
    ...behind.map((region) => `${region}: the replica of the secret is behind`),
    ...rules
      .filter(({ values }) => !values.includes(value))
      .map(({ region }) => `${region}: the load balancer refuses it`),
    ...(sending.deployed ? [] : [`distribution ${distributionId} is being deployed`]),
    ...(sending.values.every((sent) => sent === value) ? [] : [`distribution ${distributionId} sends another value`]),
  ].map((fault) => `the ${key} key is not in force: ${fault}`);
}

/**
 * Brings the current value of a key into force everywhere, and takes every other out. At no step does a POP send a value
 * of the key that a load balancer refuses, unless somebody else writes rules or distribution; then the other key lets
 * requests through. Where all is well nothing is changed.
 *
 * @throws Error when the time of the step is over; a repetition goes on where this one stopped
 */
export async function bringIntoForce(key: OriginKey, parts: Parts): Promise<void> {
  while (await advance(key, parts)) await pauseWithin(parts, parts.settleMs, `settling of the ${key} key`);
}

/** Takes the next step towards a key's being in force. @returns whether there was one to take */
async function advance(key: OriginKey, parts: Parts): Promise<boolean> {
  const { secrets, entrances, sender } = parts;
  const value = await secrets.current(key);
  while ((await secrets.behind(key, value)).length > 0)
    await pauseWithin(parts, LOOK_EVERY_MS, `the ${key} key's replicas`);
  const sent = await sentByAll(key, parts);
  const rules = await entrances.rules(key, await secrets.regions(key));
  if (await entrances.accept(key, rules, [value, ...sent])) return true;
  if (sent.every((other) => other === value)) return false;
  await sender.send(key, value);
  return true;
}

/** What the POPs send, when all of them have the same configuration: rules may lose everything else. */
async function sentByAll(key: OriginKey, parts: Parts): Promise<readonly string[]> {
  for (;;) {
    const { deployed, values } = await parts.sender.sending(key);
    if (deployed) return values;
    await pauseWithin(parts, LOOK_EVERY_MS, `the deployment of distribution ${parts.sender.distributionId}`);
  }
}

async function pauseWithin(parts: Parts, ms: number, what: string): Promise<void> {
  if (parts.remainingMs() <= ms) throw new Error(`no time left to wait for: ${what}; the rotation is tried again`);
  await parts.pause(ms);
}
