import {
  Function as CloudFrontFunction,
  FunctionCode,
  FunctionRuntime,
  type KeyValueStore,
} from 'aws-cdk-lib/aws-cloudfront';
import { Construct } from 'constructs';
import { LIVE_VERSION_HEADER, liveVersionKvsKey } from '../core/channel';
import { AWS_REGIONS, type RegionCode } from '../core/regions';
import { bundleText } from './bundle';

/** CloudFront's limit on a function's code, bytes. Source: "Quotas on CloudFront Functions". */
const MAX_FUNCTION_BYTES = 10_240;

const REGION_ORIGIN_PREFIX = 'edge-';

/**
 * Regions that have a regional edge cache, which `cf.edgeLocation.region` names.
 * Source: CloudFront developer guide, "How CloudFront works with regional edge caches".
 */
const REGIONAL_EDGE_CACHES: readonly RegionCode[] = [
  'us-east-1',
  'us-east-2',
  'us-west-1',
  'us-west-2',
  'ap-south-1',
  'ap-northeast-1',
  'ap-northeast-2',
  'ap-southeast-1',
  'ap-southeast-2',
  'eu-central-1',
  'eu-west-1',
  'eu-west-2',
  'sa-east-1',
];

/** Statuses of an edge service for which another region may do better. */
export const FAILOVER_STATUSES = [502, 503, 504];

export interface ViewerRequestFunctionProps {
  readonly functionName: string;
  /** Store of the models' live versions. */
  readonly keyValueStore: KeyValueStore;
  readonly defaultModel: string;
  /** Origins that a GET may go to where no score decides, in order of preference. */
  readonly originIds: readonly string[];
  /** Regions to choose from by score, each with an origin of its own; none: latency routing alone decides. */
  readonly scoredRegions?: readonly RegionCode[];
}

/** Id of the origin that leads to one region's edge service. */
export function regionOriginId(region: string): string {
  return `${REGION_ORIGIN_PREFIX}${region}`;
}

/** The CloudFront Function that names a prediction's cache key and picks the origins; code in `lambda/viewer-request`. */
export class ViewerRequestFunction extends Construct {
  readonly function: CloudFrontFunction;

  constructor(scope: Construct, id: string, props: ViewerRequestFunctionProps) {
    super(scope, id);
    this.function = new CloudFrontFunction(this, 'Function', {
      functionName: props.functionName,
      comment: 'Canonical query, live model version, region and failover',
      runtime: FunctionRuntime.JS_2_0,
      keyValueStore: props.keyValueStore,
      code: FunctionCode.fromInline(viewerRequestCode(props)),
    });
  }
}

/**
 * Compiles the function to what JavaScript runtime 2.0 accepts.
 * @throws when the source uses syntax that the runtime lacks, or the code exceeds CloudFront's 10 KB.
 */
export function viewerRequestCode(
  props: Pick<ViewerRequestFunctionProps, 'defaultModel' | 'originIds' | 'scoredRegions'>,
): string {
  const scoredRegions = props.scoredRegions ?? [];
  const settings = {
    defaultModel: props.defaultModel,
    originIds: props.originIds,
    scoredRegions,
    regionOriginIdPrefix: REGION_ORIGIN_PREFIX,
    places: scoredRegions.length === 0 ? {} : placesOf([...REGIONAL_EDGE_CACHES, ...scoredRegions]),
    failoverStatuses: FAILOVER_STATUSES,
    liveVersionHeader: LIVE_VERSION_HEADER,
    liveVersionKeyPrefix: liveVersionKvsKey(''),
  };
  const code = bundleText('lambda/viewer-request/main.ts', {
    format: 'esm',
    external: ['cloudfront'],
    target: 'es2017',
    // Names stay, for the function's log; white space alone is a third of the 10 KB.
    minifyWhitespace: true,
    // ES2015 syntax that the runtime rejects and esbuild cannot lower: an error at synthesis instead of at deployment.
    supported: {
      class: false,
      'default-argument': false,
      destructuring: false,
      'for-of': false,
      generator: false,
      'rest-argument': false,
      'array-spread': false,
    },
    define: { SETTINGS: JSON.stringify(settings) },
  });
  return withinLimit(asGlobalFunction(code));
}

/** Places in the few bytes that the function has for them: a hundredth of a degree is a kilometre. */
function placesOf(regions: readonly RegionCode[]): Record<string, [number, number]> {
  const hundredths = (degrees: number) => Math.round(degrees * 100) / 100;
  return Object.fromEntries(
    regions.map((region) => [region, [hundredths(AWS_REGIONS[region].lat), hundredths(AWS_REGIONS[region].lon)]]),
  );
}

/** CloudFront calls a global function named `handler`; it knows no exports. */
function asGlobalFunction(code: string): string {
  const [program, exported, ...rest] = code.split(/\bexport\s*\{/);
  if (program === undefined || exported?.replace(/\s/g, '') !== 'handler};' || rest.length > 0) {
    throw new Error('lambda/viewer-request/main.ts must export exactly one name: handler');
  }
  return importFirst(program);
}

/** The runtime's module is imported on a line of its own at the top, where the developer guide has it. */
function importFirst(program: string): string {
  const [statement] = /\bimport cf from\s*"cloudfront";\n?/.exec(program) ?? [];
  if (statement === undefined) throw new Error('lambda/viewer-request/main.ts must import cf from cloudfront');
  return `${statement.trimEnd()}\n${program.replace(statement, '')}`;
}

function withinLimit(code: string): string {
  const bytes = Buffer.byteLength(code);
  if (bytes > MAX_FUNCTION_BYTES) {
    throw new Error(`the viewer-request function is ${bytes} bytes; CloudFront accepts at most ${MAX_FUNCTION_BYTES}`);
  }
  return code;
}
