/**
 * Matcher of a glob over whole keys: `*` is any run of characters, `?` exactly one; nothing else is special. Runs in
 * O(key x pattern) at worst, unlike a backtracking regular expression (the greedy two-pointer algorithm).
 */
export function globMatcher(pattern: string): (key: string) => boolean {
  const glob = Array.from(pattern.replace(/\*+/g, '*'));
  return (key) => {
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
