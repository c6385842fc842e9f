import type { Catalogue } from './distribution';
import { EdgeFunction } from './edge-function';
import { KeyValueStore } from './key-value-store';
import {
  MANAGED_CACHE_POLICIES,
  MANAGED_ORIGIN_REQUEST_POLICIES,
  MANAGED_RESPONSE_HEADERS_POLICIES,
} from './managed-policies';
import type { CachePolicyConfig, OriginRequestPolicyConfig } from './policies';
import type { ResponseHeadersPolicyConfig } from './response-headers';

export interface RegistryOptions {
  readonly account: string;
  readonly now: () => number;
  readonly log: (line: string) => void;
  readonly certificateNames: (arn: string) => readonly string[] | undefined;
}

/** CloudFront's resources other than distributions: what the ids in a distribution lead to. */
export class Registry implements Catalogue {
  private readonly cachePolicies = new Map(MANAGED_CACHE_POLICIES);
  private readonly originRequestPolicies = new Map(MANAGED_ORIGIN_REQUEST_POLICIES);
  private readonly responseHeadersPolicies = new Map(MANAGED_RESPONSE_HEADERS_POLICIES);
  private readonly accessControls = new Map<string, { readonly originType: string }>();
  private readonly functions = new Map<string, EdgeFunction>();
  private readonly stores = new Map<string, KeyValueStore>();

  constructor(private readonly options: RegistryOptions) {}

  readonly cachePolicy = (id: string): CachePolicyConfig | undefined => this.cachePolicies.get(id);
  readonly originRequestPolicy = (id: string): OriginRequestPolicyConfig | undefined =>
    this.originRequestPolicies.get(id);
  readonly responseHeadersPolicy = (id: string): ResponseHeadersPolicyConfig | undefined =>
    this.responseHeadersPolicies.get(id);
  readonly originAccessControl = (id: string): { readonly originType: string } | undefined =>
    this.accessControls.get(id);
  readonly edgeFunction = (arn: string): EdgeFunction | undefined => this.functions.get(arn);
  readonly certificateNames = (arn: string): readonly string[] | undefined => this.options.certificateNames(arn);
  readonly keyValueStore = (arn: string): KeyValueStore | undefined => this.stores.get(arn);

  keyValueStoreByName(name: string): KeyValueStore | undefined {
    return [...this.stores.values()].find((store) => store.name === name);
  }

  addCachePolicy(id: string, policy: CachePolicyConfig): void {
    this.cachePolicies.set(id, policy);
  }

  addOriginRequestPolicy(id: string, policy: OriginRequestPolicyConfig): void {
    this.originRequestPolicies.set(id, policy);
  }

  addResponseHeadersPolicy(id: string, policy: ResponseHeadersPolicyConfig): void {
    this.responseHeadersPolicies.set(id, policy);
  }

  addOriginAccessControl(id: string, originType: string): void {
    this.accessControls.set(id, { originType });
  }

  /** @throws when a store of that name exists */
  addKeyValueStore(id: string, name: string): KeyValueStore {
    if (this.keyValueStoreByName(name)) throw new Error(`there is already a key value store named ${name}`);
    const store = new KeyValueStore(`${this.arnPrefix()}:key-value-store/${id}`, name, this.options.now);
    this.stores.set(store.arn, store);
    return store;
  }

  /**
   * Adds a function under its ARN.
   *
   * @throws when its code does not load or the store is unknown.
   */
  addFunction(name: string, code: string, storeArn: string | undefined): string {
    const arn = `${this.arnPrefix()}:function/${name}`;
    const store = storeArn === undefined ? undefined : this.stores.get(storeArn);
    if (storeArn !== undefined && !store) throw new Error(`function ${name}: there is no key value store ${storeArn}`);
    this.functions.set(arn, new EdgeFunction(name, code, store, this.options.log));
    return arn;
  }

  /** ARNs of CloudFront's resources, which belong to no region. */
  arnPrefix(): string {
    return `arn:aws:cloudfront::${this.options.account}`;
  }
}
