/**
 * Area under the ROC curve: the chance that a clicked impression is scored above an unclicked one, ties counting half.
 * By ranks (Mann-Whitney U), so exact for any number of ties.
 * @throws RangeError when one of the two classes is empty, for which the area is not defined
 */
export function areaUnderCurve(scored: readonly { readonly score: number; readonly clicked: boolean }[]): number {
  const sorted = [...scored].sort((a, b) => a.score - b.score);
  const clicks = sorted.filter(({ clicked }) => clicked).length;
  const others = sorted.length - clicks;
  if (clicks === 0 || others === 0)
    throw new RangeError(`AUC needs both classes, got ${clicks} clicks of ${sorted.length}`);

  let rankSum = 0;
  for (let start = 0; start < sorted.length; ) {
    const score = sorted[start]?.score;
    let end = start;
    let clicksInTie = 0;
    while (end < sorted.length && sorted[end]?.score === score) {
      if (sorted[end]?.clicked) clicksInTie += 1;
      end += 1;
    }
    rankSum += clicksInTie * ((start + 1 + end) / 2);
    start = end;
  }
  return (rankSum - (clicks * (clicks + 1)) / 2) / (clicks * others);
}
