/**
 * Matcher of a glob over whole keys: `*` is any run of characters, `?` exactly one; nothing else is special. Runs in
 * O(key x pattern) at worst, unlike a backtracking regular expression (the greedy two-pointer algorithm).
 */
export function globMatcher(pattern: string): (key: string) => boolean {
  const collapsed = pattern.replace(/\*+/g, '*');
  const literal = /^[^*?]*/.exec(collapsed)?.[0] ?? '';
  if (collapsed === literal) return (key) => key === literal;
  // Most patterns are of this kind, and route policies are tried on every request.
  if (collapsed === `${literal}*`) return (key) => key.startsWith(literal);
  const glob = Array.from(collapsed);
  return (key) => {
    if (!key.startsWith(literal)) return false;
    const text = Array.from(key);
    let at = 0;
    let inGlob = 0;
    let star = -1;
    let resumeAt = 0;
    while (at < text.length) {
      if (glob[inGlob] === '*') {
        star = inGlob++;
        resumeAt = at;
      } else if (inGlob < glob.length && (glob[inGlob] === '?' || glob[inGlob] === text[at])) {
        inGlob++;
        at++;
      } else if (star >= 0) {
        inGlob = star + 1;
        at = ++resumeAt;
      } else return false;
    }
    while (glob[inGlob] === '*') inGlob++;
    return inGlob === glob.length;
  };
}
