/** A receiver that throws has a defect, which is to be seen, but not to keep others from their answers. */
export function throwApart(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
