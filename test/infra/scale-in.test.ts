import { scaleIn } from '../../lib/checks/scale-in';
import { expectEachCaught, findings, inEdge, synthesized, withOwnCode } from './breaking';

const stacks = synthesized('prod', ['us-east-1', 'eu-west-1']);

const COOLDOWN = 'Properties.TargetTrackingScalingPolicyConfiguration.ScaleInCooldown';
const POLICY = 'AWS::ApplicationAutoScaling::ScalingPolicy';
const delay = (Value: string | undefined) =>
  Value === undefined ? [] : [{ Key: 'deregistration_delay.timeout_seconds', Value }];
const groupOf = (Value: string | undefined) =>
  inEdge('AWS::ElasticLoadBalancingV2::TargetGroup', /./, 'Properties.TargetGroupAttributes', delay(Value));
const STOP = 'Properties.ContainerDefinitions.0.StopTimeout';

describe('scale-in', () => {
  expectEachCaught(stacks, scaleIn, [
    ['a task taken while another leaves', inEdge(POLICY, /Cpu/, COOLDOWN, 69), /after 69 s.* 70 s to leave/],
    ['a load balancer that waits longer', groupOf('261'), /after 300 s.* 301 s to leave/],
    ['a load balancer that waits as long as it does by default', groupOf(undefined), /after 300 s.* 340 s to leave/],
  ]);

  test('times that add up, and those of AWS where none are given', async () => {
    const cooldown = inEdge(POLICY, /Cpu/, COOLDOWN);
    expect(await findings(scaleIn, stacks, groupOf('260'), cooldown)).toEqual([]);
    const stop = inEdge('AWS::ECS::TaskDefinition', /EdgeTask/, STOP);
    expect(await findings(scaleIn, stacks, groupOf('270'), stop, cooldown)).toEqual([]);
    const late = await findings(scaleIn, stacks, groupOf('271'), stop, cooldown);
    expect(late.map(({ problem }) => problem)).toContain(
      'takes the next task away after 300 s, and one may need 301 s to leave',
    );
  });

  test.each([
    ['180', /for 180 minutes, and a deployment waits 180/],
    ['longTime()', /for an unknown number of minutes/],
  ])('a task that protects itself for %s', async (minutes, says) => {
    const changed = withOwnCode(stacks, (code) =>
      code.replace(/MAX_PROTECTION_MINUTES = \d+/, `MAX_PROTECTION_MINUTES = ${minutes}`),
    );
    const found = await findings(scaleIn, changed);
    expect(found.map(({ problem }) => problem)).toContainEqual(expect.stringMatching(says));
  });

  test('a task that does not protect itself', async () => {
    const changed = withOwnCode(stacks, (code) => code.replaceAll('/task-protection/v1/state', '/elsewhere'));
    expect(await findings(scaleIn, changed)).toEqual([]);
  });
});
