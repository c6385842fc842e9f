import { type CheckedResource, type CheckedStack, resourcesOf } from './assembly';
import type { Check, Finding } from './finding';
import { listAt, textAt, textsAt } from './json';

type Fault = Pick<Finding, 'problem' | 'right'>;

/** Source: CloudFront developer guide, "Quotas on CloudFront Functions" and "Quotas on key value stores". */
const MAX_FUNCTION_BYTES = 10_240;
const MAX_STORES = 1;

/** Functions at the POPs: size, their one store, events that can choose origins, and the names of origins in their code. */
export const edgeFunction: Check = {
  name: 'edge-function',
  run: (assembly) =>
    resourcesOf(assembly, 'AWS::CloudFront::Function').flatMap(({ stack, resource }) =>
      [...ownFaults(resource), ...useFaults(resource, stack)].map((fault) => ({
        stack: stack.name,
        resource: resource.logicalId,
        ...fault,
      })),
    ),
};

function ownFaults({ properties }: CheckedResource): Fault[] {
  const code = textAt(properties, 'FunctionCode');
  const bytes = Buffer.byteLength(code);
  const stores = listAt(properties, 'FunctionConfig', 'KeyValueStoreAssociations').length;
  const faults: Fault[] = [];
  if (bytes > MAX_FUNCTION_BYTES) {
    faults.push({ problem: `its code has ${bytes} bytes`, right: `at most ${MAX_FUNCTION_BYTES}` });
  }
  if (stores > MAX_STORES) faults.push({ problem: `${stores} key value stores`, right: 'one' });
  if (code.includes('.kvs(') && stores === 0) {
    faults.push({
      problem: 'its code reads a key value store, but none is associated',
      right: 'KeyValueStoreAssociations',
    });
  }
  if (textAt(properties, 'AutoPublish') !== 'true') {
    faults.push({ problem: 'is not published, so the distribution runs its last version', right: 'AutoPublish: true' });
  }
  if (!/\bfunction handler\b|\bhandler\s*=/.test(code)) {
    faults.push({ problem: 'its code defines no handler', right: 'a global function named handler' });
  }
  return faults;
}

/** How a distribution uses the function: as which event, and whether the origins that the code names are there. */
function useFaults({ logicalId, properties }: CheckedResource, stack: CheckedStack): Fault[] {
  const code = textAt(properties, 'FunctionCode');
  const choosesOrigins = /selectRequestOriginById|createRequestOriginGroup|updateRequestOrigin/.test(code);
  const distributions = stack.resources.filter(({ type }) => type === 'AWS::CloudFront::Distribution');
  return distributions.flatMap((distribution): Fault[] => {
    const config = distribution.properties.DistributionConfig;
    const events = [...listAt(config, 'DefaultCacheBehavior'), ...listAt(config, 'CacheBehaviors')]
      .flatMap((behaviour) => listAt(behaviour, 'FunctionAssociations'))
      .filter((association) => textAt(association, 'FunctionARN') === `<${logicalId}.FunctionARN>`)
      .map((association) => textAt(association, 'EventType'));
    const origins = listAt(config, 'Origins').map((origin) => textAt(origin, 'Id'));
    const named = choosesOrigins ? originsNamedIn(code) : [];
    return [
      ...(events.length === 0 ? [{ problem: 'no behaviour runs it', right: 'an association, or no function' }] : []),
      ...(choosesOrigins && events.some((event) => event !== 'viewer-request')
        ? [{ problem: 'chooses origins in an event that cannot', right: 'viewer-request' }]
        : []),
      ...named
        .filter((id) => !origins.includes(id))
        .map((id) => ({ problem: `its code sends requests to ${id}, which is no origin`, right: origins.join(', ') })),
    ];
  });
}

/** Ids that the settings compiled into the code give: `originIds`, and one a region by `regionOriginIdPrefix`. */
function originsNamedIn(code: string): string[] {
  const list = (name: string) => {
    const [, items = ''] = new RegExp(`\\b${name}:\\[([^\\]]*)\\]`).exec(code) ?? [];
    return textsAt(items.split(','))
      .map((item) => item.replace(/["'\s]/g, ''))
      .filter((item) => item !== '');
  };
  const [, prefix = ''] = /\bregionOriginIdPrefix:\s*["']([^"']*)["']/.exec(code) ?? [];
  return [...list('originIds'), ...list('scoredRegions').map((region) => `${prefix}${region}`)];
}
