import type { RawAnswer } from '../../../support/raw-http';

/** An answer without what changes from one to the next: the date, how long it took, and a second that may have passed. */
export function comparable({ status, headers, body }: RawAnswer) {
  const { date, 'server-timing': timing, 'cache-status': cacheStatus, ...others } = headers;
  return {
    ...{ status, body, hasDate: date !== undefined },
    timing: timing?.replace(/[\d.]+/g, '#'),
    cacheStatus: cacheStatus?.replace(/ttl=\d+/, 'ttl=#'),
    ...others,
  };
}
