import fc from 'fast-check';
import { tagsOf } from '../../../../containers/edge/http-cache/cache-tags';

describe('the tags of a response', () => {
  it('are those of its two fields and of its route, each once, in lower case', () => {
    const headers = { 'x-amz-meta-cache-tag': ['Model:Ranker, b', ' c,,b'], 'surrogate-key': '  d  C\te ' };
    expect(tagsOf(headers, ['route'])).toEqual(['route', 'model:ranker', 'b', 'c', 'd', 'e']);
    expect(tagsOf({})).toEqual([]);
    expect(tagsOf({}, ['route'])).toEqual(['route']);
  });

  it('do not count where they are malformed', () => {
    const tooLong = 'x'.repeat(257);
    expect(tagsOf({ 'x-amz-meta-cache-tag': `two words, caf\u00e9, ${tooLong}, good` })).toEqual(['good']);
    expect(tagsOf({ 'surrogate-key': `a,b ${tooLong} good` })).toEqual(['good']);
  });

  it('are 50 at most, those of the route first', () => {
    const many = Array.from({ length: 60 }, (_, i) => `tag${i}`);
    expect(tagsOf({ 'surrogate-key': many.join(' ') }, ['route'])).toEqual(['route', ...many.slice(0, 49)]);
  });

  it('can always be sent on as one field and read again', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (own, surrogate) => {
        const tags = tagsOf({ 'x-amz-meta-cache-tag': own, 'surrogate-key': surrogate });
        expect(tagsOf({ 'x-amz-meta-cache-tag': tags.join(',') })).toEqual(tags);
      }),
    );
  });
});
