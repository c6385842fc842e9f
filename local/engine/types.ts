import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Question } from '../iam/iam-stand-in';

/** A resource of the cloud assembly whose properties are evaluated: no intrinsic function is left in them. */
export interface Resource {
  readonly stackName: string;
  readonly region: string;
  readonly account: string;
  readonly logicalId: string;
  /** CloudFormation type, e.g. `AWS::S3::Bucket`. */
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
  /** Finds the staged asset that a `S3Key` / image tag of this resource's stack names. */
  readonly assets: AssetLookup;
}

/** Staged assets of one stack, from its `*.assets.json`. */
export interface AssetLookup {
  /** Directory or file whose upload would get this object key; throws when the manifest has none. */
  fileByObjectKey(objectKey: string): string;
  /** Build context directory of the image with this tag; throws when the manifest has none. */
  imageDirectoryByTag(tag: string): string;
}

/** What a started resource gives back to the evaluator, and how it is stopped. */
export interface Running {
  /** Value of `Ref`. */
  readonly ref: string;
  /** Values of `Fn::GetAtt`; names as CloudFormation writes them, e.g. `Endpoint.Address`. */
  readonly attributes?: Readonly<Record<string, unknown>>;
  /** Ends everything the resource started. Called once, in reverse order of starting. */
  readonly stop?: () => Promise<void>;
}

/** Brings up one CloudFormation resource type. One module per type; stand-in services are closed over, not looked up. */
export interface ResourceModule {
  readonly type: string;
  start(resource: Resource): Promise<Running>;
}

/** Who calls an AWS API, as the SDK signed it. */
export interface CallContext {
  /** Region of the credential scope; `us-east-1` for global services. */
  readonly region: string;
  readonly account: string;
  readonly accessKeyId: string;
  /** Throws the service's access-denied error unless the caller may do this. Every action asks before it acts. */
  authorize(action: string, resource: string, more?: Pick<Question, 'resourcePolicy' | 'context'>): void;
}

/** One AWS API behind the shared endpoint, chosen by the service name in the request's credential scope. */
export interface AwsApi {
  /** Signing name, e.g. `s3`, `sns`, `cloudfront-keyvaluestore`. */
  readonly signingName: string;
  handle(request: IncomingMessage, response: ServerResponse, context: CallContext): Promise<void> | void;
}
