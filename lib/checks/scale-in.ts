import type { CheckedResource, CheckedStack } from './assembly';
import type { Check, Finding } from './finding';
import { listAt, numberAt, textAt } from './json';
import { ownCodeOf, type Program, programsOf, protectsItself } from './programs';

type Fault = Pick<Finding, 'problem' | 'right'>;

/** Source: Elastic Load Balancing API reference, "TargetGroupAttribute", and ECS API reference, "ContainerDefinition". */
const DEFAULT_DEREGISTRATION_SECONDS = 300;
const DEFAULT_STOP_SECONDS = 30;

/** Source: Application Auto Scaling API reference, "TargetTrackingScalingPolicyConfiguration", for ECS services. */
const DEFAULT_COOLDOWN_SECONDS = 300;

/** How long CloudFormation waits for a service to be steady. Source: AWS::ECS::Service, CloudFormation template reference. */
const STEADY_STATE_MINUTES = 180;

/**
 * A task has left before the next one is chosen, and one that protects itself from leaving lets go before a deployment
 * that waits for it is given up.
 */
export const scaleIn: Check = {
  name: 'scale-in',
  run: (assembly) =>
    programsOf(assembly)
      .filter(({ kind }) => kind === 'task')
      .flatMap((program) => {
        const services = program.stack.resources.filter(
          ({ type, properties }) =>
            type === 'AWS::ECS::Service' && textAt(properties, 'TaskDefinition') === program.resource.ref,
        );
        return [
          ...protectionFaults(program).map((fault) => findingAt(program.stack, program.resource, fault)),
          ...services.flatMap((service) => cooldownFaults(program, service)),
        ];
      }),
};

function findingAt({ name }: CheckedStack, { logicalId }: CheckedResource, fault: Fault): Finding {
  return { stack: name, resource: logicalId, ...fault };
}

function protectionFaults(program: Program): Fault[] {
  if (!protectsItself(program)) return [];
  const [, minutes = ''] = /\bMAX_PROTECTION_MINUTES = (\d+);/.exec(ownCodeOf(program.directory)) ?? [];
  if (minutes !== '' && Number(minutes) < STEADY_STATE_MINUTES) return [];
  return [
    {
      problem: `protects itself for ${minutes || 'an unknown number of'} minutes, and a deployment waits ${STEADY_STATE_MINUTES}`,
      right: `MAX_PROTECTION_MINUTES in the code below ${STEADY_STATE_MINUTES}`,
    },
  ];
}

/** While one task leaves, its requests still count as load of the service, and what is left looks idler than it is. */
function cooldownFaults({ stack, resource }: Program, service: CheckedResource): Finding[] {
  const [container] = listAt(resource.properties, 'ContainerDefinitions');
  const stop = numberAt(container, 'StopTimeout') ?? DEFAULT_STOP_SECONDS;
  const delays = listAt(service.properties, 'LoadBalancers').map((target) =>
    deregistrationSeconds(stack.resources.find(({ ref }) => ref === textAt(target, 'TargetGroupArn'))),
  );
  const leaving = Math.max(0, ...delays) + stop;
  return policiesOf(stack, service).flatMap((policy) => {
    const tracking = 'TargetTrackingScalingPolicyConfiguration';
    const cooldown = numberAt(policy.properties, tracking, 'ScaleInCooldown') ?? DEFAULT_COOLDOWN_SECONDS;
    if (cooldown >= leaving) return [];
    const problem = `takes the next task away after ${cooldown} s, and one may need ${leaving} s to leave`;
    return [
      findingAt(stack, policy, { problem, right: `ScaleInCooldown of at least ${leaving}, or less time to leave` }),
    ];
  });
}

function deregistrationSeconds(group: CheckedResource | undefined): number {
  const attribute = listAt(group?.properties, 'TargetGroupAttributes').find(
    (candidate) => textAt(candidate, 'Key') === 'deregistration_delay.timeout_seconds',
  );
  return numberAt(attribute, 'Value') ?? DEFAULT_DEREGISTRATION_SECONDS;
}

/** Scaling policies of a service: those of the target that names it as `service/<cluster>/<service>`. */
function policiesOf({ resources }: CheckedStack, service: CheckedResource): CheckedResource[] {
  const targets = resources.filter(
    ({ type, properties }) =>
      type === 'AWS::ApplicationAutoScaling::ScalableTarget' &&
      [`<${service.logicalId}.Name>`, service.name].includes(textAt(properties, 'ResourceId').split('/').at(-1) ?? ''),
  );
  return resources.filter(
    ({ type, properties }) =>
      type === 'AWS::ApplicationAutoScaling::ScalingPolicy' &&
      targets.some(({ ref }) => ref === textAt(properties, 'ScalingTargetId')),
  );
}
