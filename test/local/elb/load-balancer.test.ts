import { EventEmitter, once } from 'node:events';
import { request as sendRequest } from 'node:http';
import { text } from 'node:stream/consumers';
import {
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeRulesCommand,
  ElasticLoadBalancingV2Client,
  LoadBalancerNotFoundException,
  ModifyRuleCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { Certificates } from '../../../local/elb/certificates';
import { ElbStandIn } from '../../../local/elb/elb-stand-in';
import { statusMatcher } from '../../../local/elb/health-check';
import type { TargetGroup } from '../../../local/elb/target-group';
import { type LocalServer, serveLocally } from '../../../local/engine/http-server';
import type { Running } from '../../../local/engine/types';
import { clientSettings, resource, testPlatform } from '../support/platform';

const elb = new ElbStandIn(new Certificates());
const stops: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

async function start(type: string, logicalId: string, properties: Record<string, unknown>): Promise<Running> {
  const module = elb.modules.find((candidate) => candidate.type === `AWS::ElasticLoadBalancingV2::${type}`);
  if (!module) throw new Error(`no module for ${type}`);
  const running = await module.start(resource(module.type, logicalId, properties));
  if (running.stop) stops.push(running.stop);
  return running;
}

interface Server {
  readonly port: number;
  healthy: boolean;
  readonly served: string[];
  /** Emits each request's URL when it arrives. */
  readonly arrivals: EventEmitter;
}

/** A target whose health is switched by the test; `/slow` never answers, `/drop` ends the connection. */
async function target(name: string): Promise<Server> {
  const state = { healthy: true, served: [] as string[], arrivals: new EventEmitter() };
  const server: LocalServer = await serveLocally((request, response) => {
    if (request.url === '/health') {
      response.writeHead(state.healthy ? 200 : 500).end();
    } else if (request.url === '/drop') {
      request.socket.destroy();
    } else if (request.url !== '/slow') {
      state.served.push(request.url ?? '');
      state.arrivals.emit(request.url ?? '');
      void text(request).then((body) => response.end(JSON.stringify({ name, headers: request.headers, body })));
    }
  });
  stops.push(server.close);
  return Object.assign(state, { port: server.port });
}

let count = 0;
async function balancer(idleSeconds = 60) {
  count += 1;
  const group = await start('TargetGroup', `Group${count}`, {
    Protocol: 'HTTP',
    TargetType: 'ip',
    HealthCheckPath: '/health',
    HealthCheckIntervalSeconds: 1,
    HealthyThresholdCount: 2,
    UnhealthyThresholdCount: 2,
    TargetGroupAttributes: [{ Key: 'deregistration_delay.timeout_seconds', Value: '30' }],
  });
  const alb = await start('LoadBalancer', `Alb${count}`, {
    LoadBalancerAttributes: [{ Key: 'idle_timeout.timeout_seconds', Value: String(idleSeconds) }],
  });
  const listener = await start('Listener', `Listener${count}`, {
    LoadBalancerArn: alb.ref,
    Port: 80,
    Protocol: 'HTTP',
    DefaultActions: [{ Type: 'forward', TargetGroupArn: group.ref }],
  });
  const found = elb.balancerByDnsName(`dualstack.${String(alb.attributes?.DNSName)}.`);
  const url = found?.mainListener?.url;
  if (!found || !url) throw new Error('the load balancer has no listener');
  return { found, url, group: elb.targetGroup(group.ref), listenerArn: listener.ref };
}

async function healthOf(group: TargetGroup, port: number, state: string): Promise<void> {
  while (group.stateOf('127.0.0.1', port) !== state) await once(group, 'health');
}

describe('an application load balancer', () => {
  test('answers 503 without targets, takes turns over healthy ones, and forwards headers and body', async () => {
    const { url, group, found } = await balancer();
    expect((await fetch(url)).status).toBe(503);
    expect(found.isHealthy).toBe(false);
    const [a, b] = [await target('a'), await target('b')];
    for (const { port } of [a, b]) group.register('127.0.0.1', port);
    await Promise.all([a, b].map(({ port }) => healthOf(group, port, 'healthy')));
    expect(found.isHealthy).toBe(true);

    const answers: { name: string }[] = [];
    for (let i = 0; i < 4; i += 1) {
      const response = await fetch(`${url}/x?y=1`, {
        method: 'POST',
        body: 'hello',
        headers: { 'x-forwarded-for': '192.0.2.7' },
      });
      answers.push((await response.json()) as { name: string });
    }
    expect(answers.map(({ name }) => name).sort()).toEqual(['a', 'a', 'b', 'b']);
    expect(answers[0]).toMatchObject({
      body: 'hello',
      headers: { 'x-forwarded-for': '192.0.2.7, 127.0.0.1', 'x-forwarded-proto': 'http', 'x-forwarded-port': '80' },
    });
    expect(a.served).toContain('/x?y=1');
  });

  test('leaves out an unhealthy target, takes it back, and fails open when all are unhealthy', async () => {
    const { url, group, found } = await balancer();
    const [a, b] = [await target('a'), await target('b')];
    for (const { port } of [a, b]) group.register('127.0.0.1', port);
    await Promise.all([a, b].map(({ port }) => healthOf(group, port, 'healthy')));
    a.healthy = false;
    await healthOf(group, a.port, 'unhealthy');
    for (let i = 0; i < 3; i += 1) expect(await (await fetch(url)).json()).toMatchObject({ name: 'b' });

    b.healthy = false;
    await healthOf(group, b.port, 'unhealthy');
    expect(found.isHealthy).toBe(false);
    expect((await fetch(url)).status).toBe(200);

    a.healthy = true;
    await healthOf(group, a.port, 'healthy');
    for (let i = 0; i < 3; i += 1) expect(await (await fetch(url)).json()).toMatchObject({ name: 'a' });
  });

  test('answers 502 when the target drops or refuses the connection, 504 when it stays silent', async () => {
    const { url, group } = await balancer(1);
    const a = await target('a');
    group.register('127.0.0.1', a.port);
    await healthOf(group, a.port, 'healthy');
    expect((await fetch(`${url}/drop`)).status).toBe(502);
    expect((await fetch(`${url}/slow`)).status).toBe(504);
  });

  test('a target that leaves gets no new request and may finish the ones it has', async () => {
    const { url, group } = await balancer();
    const a = await target('a');
    group.register('127.0.0.1', a.port);
    await healthOf(group, a.port, 'healthy');
    const upload = sendRequest(`${url}/upload`, { method: 'POST' });
    const answer = once(upload, 'response');
    const arrived = once(a.arrivals, '/upload');
    upload.write('first ');
    await arrived;
    const left = group.deregister('127.0.0.1', a.port);
    expect((await fetch(url)).status).toBe(503);
    upload.end('second');
    const [response] = await answer;
    expect(JSON.parse(await text(response))).toMatchObject({ body: 'first second' });
    await left;
    expect(group.list()).toEqual([]);
  });

  test('a rule answers before the default action', async () => {
    const { url, listenerArn } = await balancer();
    await start('ListenerRule', `Rule${count}`, {
      ListenerArn: listenerArn,
      Priority: 1,
      Conditions: [{ Field: 'path-pattern', PathPatternConfig: { Values: ['/metric*'] } }],
      Actions: [{ Type: 'fixed-response', FixedResponseConfig: { StatusCode: '404', MessageBody: 'no' } }],
    });
    const response = await fetch(`${url}/metrics`);
    expect([response.status, await response.text()]).toEqual([404, 'no']);
    expect((await fetch(`${url}/other`)).status).toBe(503);
  });

  test('refuses what it would run differently', async () => {
    await expect(start('LoadBalancer', 'Nlb', { Type: 'network' })).rejects.toThrow('only application load balancers');
    const group = { Protocol: 'HTTP', TargetType: 'ip', Surprise: true };
    await expect(start('TargetGroup', 'Odd', group)).rejects.toThrow(
      /^Surprise of AWS::.*TargetGroup is not run on this machine/,
    );
    const listener = {
      LoadBalancerArn: 'arn:nobody',
      Port: 80,
      Protocol: 'HTTP',
      DefaultActions: [{ Type: 'forward', TargetGroupArn: 'x' }],
    };
    await expect(start('Listener', 'Lost', listener)).rejects.toThrow('there is no load balancer arn:nobody');
  });
});

describe('the API', () => {
  const platform = testPlatform();
  let client: ElasticLoadBalancingV2Client;
  beforeAll(() => {
    platform.get().front.serve(elb.api);
    client = new ElasticLoadBalancingV2Client(clientSettings(platform.get()));
  });
  afterAll(() => client.destroy());

  test('finds a rule from the name of its load balancer, and changes what it asks for from the next request on', async () => {
    const { listenerArn, url, found } = await balancer();
    await start('ListenerRule', `Rule${count}`, {
      ListenerArn: listenerArn,
      Priority: 7,
      Conditions: [{ Field: 'http-header', HttpHeaderConfig: { HttpHeaderName: 'x-key', Values: ['old'] } }],
      Actions: [{ Type: 'fixed-response', FixedResponseConfig: { StatusCode: '204' } }],
    });
    const names = new DescribeLoadBalancersCommand({ Names: [found.name] });
    const { LoadBalancers: [described] = [] } = await client.send(names);
    expect(described).toMatchObject({ LoadBalancerArn: found.arn, LoadBalancerName: found.name });
    const LoadBalancerArn = described?.LoadBalancerArn;
    const { Listeners: [listener] = [] } = await client.send(new DescribeListenersCommand({ LoadBalancerArn }));
    expect(listener).toMatchObject({ ListenerArn: listenerArn, Port: 80, Protocol: 'HTTP' });
    const { Rules = [] } = await client.send(new DescribeRulesCommand({ ListenerArn: listener?.ListenerArn }));
    expect(Rules.map(({ Priority, IsDefault }) => [Priority, IsDefault])).toEqual([
      ['7', false],
      ['default', true],
    ]);
    expect(Rules[0]?.Conditions).toEqual([
      { Field: 'http-header', HttpHeaderConfig: { HttpHeaderName: 'x-key', Values: ['old'] } },
    ]);

    const ask = async (key: string) => (await fetch(url, { headers: { 'x-key': key } })).status;
    expect([await ask('old'), await ask('new')]).toEqual([204, 503]);
    const accept = (...Values: string[]) =>
      client.send(
        new ModifyRuleCommand({
          RuleArn: Rules[0]?.RuleArn,
          Conditions: [{ Field: 'http-header', HttpHeaderConfig: { HttpHeaderName: 'x-key', Values } }],
        }),
      );
    await accept('old', 'new');
    expect([await ask('old'), await ask('new')]).toEqual([204, 204]);
    await accept('new');
    expect([await ask('old'), await ask('new')]).toEqual([503, 204]);
    await expect(accept('1', '2', '3', '4', '5', '6')).rejects.toThrow('6 condition values; a rule may have 5');
    await expect(accept('x'.repeat(129))).rejects.toThrow('more than 128 characters');
  });

  test('names what is not there', async () => {
    const lost = new DescribeLoadBalancersCommand({ Names: ['lost'] });
    await expect(client.send(lost)).rejects.toBeInstanceOf(LoadBalancerNotFoundException);
    const elsewhere = new ElasticLoadBalancingV2Client(clientSettings(platform.get(), 'eu-west-1'));
    const { found } = await balancer();
    await expect(elsewhere.send(new DescribeLoadBalancersCommand({ Names: [found.name] }))).rejects.toThrow(
      'is not in eu-west-1',
    );
    elsewhere.destroy();
    const Conditions = [{ Field: 'path-pattern', PathPatternConfig: { Values: ['/'] } }];
    await expect(client.send(new ModifyRuleCommand({ RuleArn: 'arn:lost', Conditions }))).rejects.toThrow(
      'there is no rule arn:lost',
    );
  });
});

test('a status matcher knows codes, lists and ranges', () => {
  expect([200, 204, 299, 300].map(statusMatcher('200-299'))).toEqual([true, true, true, false]);
  expect([200, 201, 202].map(statusMatcher('200,202'))).toEqual([true, false, true]);
  expect(() => statusMatcher('2xx')).toThrow('Matcher.HttpCode: 2xx must be codes or ranges');
});
