const compiled = new Map<string, RegExp>();

/** `*` is any run of characters, `?` any one. Source: IAM User Guide, "IAM JSON policy elements: Resource". */
export function matchesWildcard(pattern: string, text: string): boolean {
  let expression = compiled.get(pattern);
  if (!expression) {
    const source = pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.');
    expression = new RegExp(`^${source}$`, 's');
    compiled.set(pattern, expression);
  }
  return expression.test(text);
}

/** As `ArnLike` compares: part by part, so that a `*` does not reach over the first five colons. */
export function matchesArn(pattern: string, arn: string): boolean {
  const [wanted, given] = [pattern, arn].map(arnParts) as [string[], string[]];
  return wanted.length === given.length && wanted.every((part, index) => matchesWildcard(part, given[index] ?? ''));
}

function arnParts(arn: string): string[] {
  const parts = arn.split(':');
  return [...parts.slice(0, 5), parts.slice(5).join(':')];
}
