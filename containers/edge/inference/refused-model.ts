/**
 * A model version that must not serve: its bytes, signature or answers are not what was published. Versions are
 * immutable, so trying again cannot help; every other failure while preparing is taken to pass by itself.
 */
export class RefusedModel extends Error {
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.name = 'RefusedModel';
  }
}
