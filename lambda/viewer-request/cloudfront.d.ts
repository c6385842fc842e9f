/**
 * The helper module of CloudFront Functions, JavaScript runtime 2.0, as far as it is used here.
 * Source: Amazon CloudFront developer guide, "Helper methods for key value stores" and "Helper methods for origin modification".
 */
declare module 'cloudfront' {
  export interface KeyValueStore {
    /** Rejects when the store has no such key. */
    get(key: string, options: { format: 'string' }): Promise<string>;
  }

  export interface CloudFrontHelpers {
    /** The store that is associated with the function. */
    kvs(): KeyValueStore;
    /** Sends this request to the first origin and, on one of the status codes or no connection, to the second. */
    createRequestOriginGroup(group: {
      originIds: { originId: string }[];
      failoverCriteria: { statusCodes: number[] };
    }): void;
    /** Sends this request to one origin of the distribution. */
    selectRequestOriginById(originId: string): void;
    /** Where the function runs; `region` is that of the POP's regional edge cache. */
    readonly edgeLocation?: { readonly name: string; readonly region: string };
  }

  const cf: CloudFrontHelpers;
  export default cf;
}
