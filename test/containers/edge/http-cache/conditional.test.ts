import { isNotModified, rangeApplies, validationFields } from '../../../../containers/edge/http-cache/conditional';

const MODIFIED = 'Sun, 06 Nov 1994 08:49:37 GMT';
const SECOND_BEFORE = 'Sun, 06 Nov 1994 08:49:36 GMT';
const SECOND_AFTER = 'Sun, 06 Nov 1994 08:49:38 GMT';

describe('If-None-Match', () => {
  it.each([
    ['"a"', '"a"', true],
    ['"a"', '"b"', false],
    ['"b", "a"', '"a"', true],
    ['"b" ,\t"a" , ', '"a"', true],
    ['W/"a"', '"a"', true],
    ['"a"', 'W/"a"', true],
    ['W/"a"', 'W/"a"', true],
    ['w/"a"', '"a"', false],
    ['"A"', '"a"', false],
    ['"b, a"', '"a"', false],
    ['"x", "b, a"', '"b, a"', true],
    ['"a\\", "b"', '"b"', true],
    ['a', '"a"', false],
    ['a', 'a', true],
    ['', '"a"', false],
    ['*', '"a"', true],
    ['"*"', '"a"', false],
  ])('%s matches ETag %s: %s', (field, etag, expected) => {
    expect(isNotModified({ 'if-none-match': field }, { etag })).toBe(expected);
  });

  it('matches nothing but * where there is no ETag', () => {
    expect(isNotModified({ 'if-none-match': '"a"' }, {})).toBe(false);
    expect(isNotModified({ 'if-none-match': '*' }, {})).toBe(true);
  });

  it('goes before If-Modified-Since', () => {
    const request = { 'if-none-match': '"b"', 'if-modified-since': MODIFIED };
    expect(isNotModified(request, { etag: '"a"', 'last-modified': MODIFIED })).toBe(false);
  });
});

describe('If-Modified-Since', () => {
  it.each([
    [MODIFIED, true],
    [SECOND_AFTER, true],
    [SECOND_BEFORE, false],
    ['0', false],
    ['', false],
    [`${MODIFIED}, ${MODIFIED}`, false],
  ])('%s', (since, expected) => {
    expect(isNotModified({ 'if-modified-since': since }, { 'last-modified': MODIFIED })).toBe(expected);
  });

  it('looks at Date where there is no Last-Modified', () => {
    expect(isNotModified({ 'if-modified-since': MODIFIED }, { date: MODIFIED })).toBe(true);
    expect(isNotModified({ 'if-modified-since': SECOND_BEFORE }, { date: MODIFIED })).toBe(false);
    expect(isNotModified({ 'if-modified-since': MODIFIED }, { date: MODIFIED, 'last-modified': 'once' })).toBe(false);
  });
});

describe('If-Range', () => {
  it.each([
    ['"a"', { etag: '"a"' }, true],
    ['"b"', { etag: '"a"' }, false],
    ['"a"', { etag: 'W/"a"' }, false],
    ['W/"a"', { etag: 'W/"a"' }, false],
    ['"a"', {}, false],
    [MODIFIED, { 'last-modified': MODIFIED, date: SECOND_AFTER }, true],
    [MODIFIED, { 'last-modified': MODIFIED }, true],
    [SECOND_AFTER, { 'last-modified': MODIFIED }, false],
    [MODIFIED, {}, false],
    // Changed within the second in which it was sent: it may have changed once more since.
    [MODIFIED, { 'last-modified': MODIFIED, date: MODIFIED }, false],
    ['W/"a"', { 'last-modified': 'once' }, false],
    ['once', { 'last-modified': 'once' }, false],
  ])('%s lets a range be taken of %j: %s', (condition, response, expected) => {
    expect(rangeApplies({ 'if-range': condition }, response)).toBe(expected);
  });

  it('may be absent', () => {
    expect(rangeApplies({}, {})).toBe(true);
  });
});

it('a stored response is asked about by all validators that it has', () => {
  expect(validationFields({ etag: 'W/"a"', 'last-modified': MODIFIED, date: SECOND_AFTER })).toEqual({
    'if-none-match': 'W/"a"',
    'if-modified-since': MODIFIED,
  });
  expect(validationFields({ date: MODIFIED })).toEqual({});
});
