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

/** A version that is right in itself and differs from the one it would replace: refused for as long as that one serves. */
export class SignatureChanged extends RefusedModel {
  constructor(reason: string) {
    super(reason);
    this.name = 'SignatureChanged';
  }
}
