/** A control operation that could not be done; the message says what, where and why, in one or a few lines for people. */
export class ControlError extends Error {
  override readonly name: string = 'ControlError';
}

/** A request that can never succeed as it was written: the fault is in its arguments. */
export class UsageError extends ControlError {
  override readonly name = 'UsageError';
}

/** What any thrown value has to say. AWS errors get their code in front, which is often all that their message lacks. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const coded = error.name !== 'Error' && !(error instanceof ControlError);
  return coded ? `${error.name}: ${error.message}` : error.message;
}
