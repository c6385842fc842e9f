import { createHash } from 'node:crypto';
import { z } from 'zod';
import { uuidFrom } from '../engine/physical-name';
import { Flag, parseProperties } from '../engine/properties';
import type { Resource, ResourceModule } from '../engine/types';
import type { CloudFrontStandIn } from './cloudfront-stand-in';
import { CachePolicyConfig, OriginRequestPolicyConfig } from './policies';
import { ResponseHeadersPolicyConfig } from './response-headers';

const RUNTIME = 'cloudfront-js-2.0';

const CachePolicy = z.object({ CachePolicyConfig });
const OriginRequestPolicy = z.object({ OriginRequestPolicyConfig });
const ResponseHeadersPolicy = z.object({ ResponseHeadersPolicyConfig });

const OriginAccessControl = z.object({
  OriginAccessControlConfig: z.strictObject({
    Name: z.string().min(1),
    Description: z.string().optional(),
    OriginAccessControlOriginType: z.string(),
    SigningBehavior: z.literal('always', 'only SigningBehavior always is run here'),
    SigningProtocol: z.literal('sigv4'),
  }),
});

const EdgeFunction = z.object({
  Name: z.string().regex(/^[A-Za-z0-9-_]{1,64}$/),
  AutoPublish: Flag.default(false),
  FunctionCode: z.string().min(1),
  FunctionConfig: z.strictObject({
    Comment: z.string(),
    Runtime: z.literal(RUNTIME, `only the runtime ${RUNTIME} is run here`),
    KeyValueStoreAssociations: z
      .array(z.strictObject({ KeyValueStoreARN: z.string() }))
      .max(1, 'a function has one key value store')
      .default([]),
  }),
});

const KeyValueStore = z.object({ Name: z.string().regex(/^[A-Za-z0-9-_]{1,64}$/) });

/** The shape is read by the stand-in itself, which then names the distribution in what it refuses. */
const Distribution = z.object({ DistributionConfig: z.unknown() });

const MonitoringSubscription = z.object({ DistributionId: z.string() });

/** The resource types of CloudFront, one module each, over one stand-in. */
export function cloudFrontModules(cloudFront: CloudFrontStandIn): ResourceModule[] {
  const { registry } = cloudFront;
  return [
    {
      type: 'AWS::CloudFront::CachePolicy',
      async start(resource) {
        const id = uuidOf(resource);
        registry.addCachePolicy(id, parseProperties(resource, CachePolicy).CachePolicyConfig);
        return { ref: id, attributes: { Id: id } };
      },
    },
    {
      type: 'AWS::CloudFront::OriginRequestPolicy',
      async start(resource) {
        const id = uuidOf(resource);
        registry.addOriginRequestPolicy(id, parseProperties(resource, OriginRequestPolicy).OriginRequestPolicyConfig);
        return { ref: id, attributes: { Id: id } };
      },
    },
    {
      type: 'AWS::CloudFront::ResponseHeadersPolicy',
      async start(resource) {
        const id = uuidOf(resource);
        const { ResponseHeadersPolicyConfig: config } = parseProperties(resource, ResponseHeadersPolicy);
        registry.addResponseHeadersPolicy(id, config);
        return { ref: id, attributes: { Id: id } };
      },
    },
    {
      type: 'AWS::CloudFront::OriginAccessControl',
      async start(resource) {
        const id = idOf(resource);
        const { OriginAccessControlConfig: config } = parseProperties(resource, OriginAccessControl);
        registry.addOriginAccessControl(id, config.OriginAccessControlOriginType);
        return { ref: id, attributes: { Id: id } };
      },
    },
    {
      type: 'AWS::CloudFront::KeyValueStore',
      async start(resource) {
        // ImportSource would be seed data, which the operator's tools write here as they do in the cloud.
        const { Name } = parseProperties(resource, KeyValueStore, ['Comment']);
        const id = uuidOf(resource);
        const store = registry.addKeyValueStore(id, Name);
        return { ref: Name, attributes: { Id: id, Arn: store.arn, Status: 'READY' } };
      },
    },
    {
      type: 'AWS::CloudFront::Function',
      async start(resource) {
        const { Name, AutoPublish, FunctionCode, FunctionConfig } = parseProperties(resource, EdgeFunction);
        if (!AutoPublish) throw new Error(`function ${Name}: without AutoPublish a distribution cannot use it`);
        const arn = registry.addFunction(
          Name,
          FunctionCode,
          FunctionConfig.KeyValueStoreAssociations[0]?.KeyValueStoreARN,
        );
        return { ref: arn, attributes: { FunctionARN: arn, 'FunctionMetadata.FunctionARN': arn, Stage: 'LIVE' } };
      },
    },
    {
      type: 'AWS::CloudFront::Distribution',
      async start(resource) {
        const { DistributionConfig } = parseProperties(resource, Distribution);
        const id = idOf(resource);
        const domainName = `d${digestOf(resource).slice(0, 13)}.cloudfront.net`;
        const arn = `${registry.arnPrefix()}:distribution/${id}`;
        cloudFront.createDistribution({ id, arn, domainName }, DistributionConfig);
        return {
          ref: id,
          attributes: { Id: id, DomainName: domainName },
          stop: async () => cloudFront.deleteDistribution(id),
        };
      },
    },
    {
      type: 'AWS::CloudFront::MonitoringSubscription',
      async start(resource) {
        // Additional metrics go to CloudWatch, which nothing on this machine stands for.
        return { ref: parseProperties(resource, MonitoringSubscription, ['MonitoringSubscription']).DistributionId };
      },
    },
  ];
}

/** An id in the form of distributions and origin access controls, the same at each start. */
function idOf(resource: Resource): string {
  return `E${digestOf(resource).slice(0, 13).toUpperCase()}`;
}

/** An id in the form of policies, the same at each start. */
function uuidOf(resource: Resource): string {
  return uuidFrom(`${resource.stackName}/${resource.logicalId}`);
}

function digestOf({ stackName, logicalId }: Resource): string {
  return createHash('sha256').update(`${stackName}/${logicalId}`).digest('hex');
}
