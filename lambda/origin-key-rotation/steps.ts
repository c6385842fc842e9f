import { bringIntoForce, faultsOf, type Parts } from './in-force';

/** Steps of a rotation in their order. Source: Secrets Manager user guide, "Lambda rotation functions". */
export const STEPS = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'] as const;
export type Step = (typeof STEPS)[number];

/**
 * One step of renewing both keys, of which Secrets Manager rotates the first. Each request shows both and one is enough, so
 * each key is changed while the other is in force and nobody changes it: the second in `setSecret`, the first in
 * `finishSecret`. Whatever CloudFormation writes meanwhile is the current value of the key that is not being changed.
 * Every step may be cut off anywhere and repeated.
 *
 * @param token names the rotation
 * @throws Error saying what is in the way; nothing has been changed then that a load balancer would refuse
 */
export async function runStep(step: Step, token: string, parts: Parts): Promise<void> {
  const { secrets } = parts;
  switch (step) {
    case 'createSecret':
      return secrets.propose('first', token);
    case 'setSecret':
      await bringIntoForce('first', parts);
      await secrets.renew('second', token);
      return bringIntoForce('second', parts);
    case 'testSecret':
      return requireSecond(parts);
    case 'finishSecret':
      await requireSecond(parts);
      await secrets.makeCurrent('first', token);
      return bringIntoForce('first', parts);
  }
}

async function requireSecond(parts: Parts): Promise<void> {
  const faults = await faultsOf('second', parts);
  if (faults.length > 0) throw new Error(faults.join('; '));
}
