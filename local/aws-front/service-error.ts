/** An error that an AWS API answers with; `code` is the one its SDK clients match on. */
export class ServiceError extends Error {
  constructor(
    readonly code: string,
    message: string,
    /** HTTP status. */
    readonly status = 400,
  ) {
    super(message);
    this.name = code;
  }
}
