import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { containers } from '../../lib/checks/containers';
import { expectEachCaught, findings, inEdge, synthesized } from './breaking';

const stacks = synthesized('prod', ['us-east-1', 'eu-west-1']);

describe('containers', () => {
  const TASK = 'AWS::ECS::TaskDefinition';
  const CONTAINER = 'Properties.ContainerDefinitions.0';
  const GROUP = 'AWS::ElasticLoadBalancingV2::TargetGroup';
  expectEachCaught(stacks, containers, [
    [
      'a port that the task does not map',
      inEdge(TASK, /./, `${CONTAINER}.PortMappings.0.ContainerPort`, 9090),
      /the task maps 9090/,
    ],
    [
      'a port that the image does not expose',
      inEdge(TASK, /./, `${CONTAINER}.Environment.0.Value`, '9090'),
      /the image exposes 8080/,
    ],
    ["a task's own loopback", inEdge(TASK, /./, `${CONTAINER}.Environment.1.Value`, '127.0.0.1'), /listens on 127/],
    ['a target group on another port', inEdge(GROUP, /./, 'Properties.Port', 80), /sends to port 80/],
    ['targets that are instances', inEdge(GROUP, /./, 'Properties.TargetType', 'instance'), /type instance/],
    [
      'a health check that overlaps',
      inEdge(GROUP, /./, 'Properties.HealthCheckTimeoutSeconds', 5),
      /every 5 s wait 5 s/,
    ],
    [
      'a container of another name',
      inEdge('AWS::ECS::Service', /./, 'Properties.LoadBalancers.0.ContainerName', 'web'),
      /sends to web/,
    ],
    [
      'a shell as first process',
      inEdge(TASK, /./, `${CONTAINER}.EntryPoint`, ['/bin/sh', '-c', 'node server.js']),
      /exec form|starts \/bin\/sh/,
    ],
    ['a script that is not there', inEdge(TASK, /./, `${CONTAINER}.EntryPoint`, ['node', 'serve.js']), /serve\.js/],
    ['a stop that takes too long', inEdge(TASK, /./, `${CONTAINER}.StopTimeout`, 300), /StopTimeout 300/],
    ['a stop that ends before the drain', inEdge(TASK, /./, `${CONTAINER}.StopTimeout`, 20), /of StopTimeout 20/],
    [
      'a load balancer that keeps connections longer',
      inEdge('AWS::ElasticLoadBalancingV2::LoadBalancer', /./, 'Properties.LoadBalancerAttributes', [
        { Key: 'idle_timeout.timeout_seconds', Value: '90' },
      ]),
      /keeps idle connections for 75 s/,
    ],
    ['root', inEdge(TASK, /./, `${CONTAINER}.User`, '0:0'), /runs as 0:0/],
    [
      'a disk cache on a read-only file system',
      inEdge(TASK, /./, `${CONTAINER}.MountPoints.0`),
      /writes to \/var\/cache\/mlcdn/,
    ],
    [
      'a mount that the image does not declare',
      inEdge(TASK, /./, `${CONTAINER}.MountPoints.0.ContainerPath`, '/data'),
      /mounts \/data/,
    ],
    [
      'a cache larger than the disk',
      inEdge(TASK, /./, 'Properties.EphemeralStorage.SizeInGiB', 30),
      /DISK_CACHE_MAX_BYTES/,
    ],
    ['a cache larger than the memory', inEdge(TASK, /./, 'Properties.Memory', '1024'), /MEMORY_CACHE_MAX_BYTES/],
    [
      'another architecture',
      inEdge(TASK, /./, 'Properties.RuntimePlatform.CpuArchitecture', 'X86_64'),
      /runs on X86_64/,
    ],
  ]);

  test('an image that runs as root, declares no volumes or cannot be built', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'infra-image-'));
    try {
      const changed = stacks.map((stack) => ({
        ...stack,
        assets: { ...stack.assets, imageDirectoryByTag: () => directory },
      }));
      const edgeStack = stacks.find(({ id }) => id.includes('edgeeuwest1'));
      const image = JSON.stringify(edgeStack?.template).match(/container-assets-[^:]*:([0-9a-f]{64})/)?.[1] ?? '';
      cpSync(edgeStack?.assets.imageDirectoryByTag(image) ?? '', directory, { recursive: true });
      const dockerfile = readFileSync(join(directory, 'Dockerfile'), 'utf8').replace(/^VOLUME.*$/m, '');
      writeFileSync(join(directory, 'Dockerfile'), dockerfile);
      const problems = (await findings(containers, changed)).map(({ problem }) => problem);
      expect(problems).toContainEqual(
        expect.stringMatching(/^mounts \/var\/cache\/mlcdn, which the image does not declare/),
      );
      writeFileSync(join(directory, 'Dockerfile'), dockerfile.replace(/^USER.*$/m, ''));
      const asRoot = await findings(containers, changed, inEdge(TASK, /./, `${CONTAINER}.User`));
      expect(asRoot.map(({ problem }) => problem)).toContainEqual(expect.stringMatching(/^runs as root/));
      rmSync(join(directory, 'Dockerfile'));
      const unbuilt = await findings(containers, changed);
      expect(unbuilt).toContainEqual(expect.objectContaining({ right: 'a Dockerfile' }));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
