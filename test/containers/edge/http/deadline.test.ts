import type { FastifyReply, FastifyRequest } from 'fastify';
import { deadlineOfHeader, requestWaiter, wireWaiter } from '../../../../containers/edge/http/deadline';
import { RequestHead } from '../../../../containers/edge/http/wire/request-head';

const ARRIVED = 1000;

/** A request in front of the router, with these field lines. */
function wired(lines = '', gone = false, timeoutUs?: number) {
  const head = RequestHead.parse(lines) as RequestHead;
  const request = { method: 'POST', target: '/', head, body: '', bytes: Buffer.alloc(0), arrived: ARRIVED };
  return wireWaiter(request, { gone, send: () => undefined, pass: () => undefined }, timeoutUs);
}

describe('how long an answer is wanted', () => {
  it('is what the header says, from the arrival of the request', () => {
    expect(deadlineOfHeader(undefined, 1000)).toBeUndefined();
    expect(deadlineOfHeader('250', 1000)).toBe(1250);
    expect(() => deadlineOfHeader(['1', '2'], 0)).toThrow('header x-request-timeout-ms must be');
  });

  it('is until the earliest deadline, where there is any', () => {
    expect(wired().deadline).toBe(Number.POSITIVE_INFINITY);
    expect(wired('x-request-timeout-ms: 30').deadline).toBe(ARRIVED + 30);
    expect(wired('x-request-timeout-ms: 30', false, 20_000).deadline).toBe(ARRIVED + 20);
    expect(wired('x-request-timeout-ms: 10', false, 20_000).deadline).toBe(ARRIVED + 10);
  });

  it('is while the client is there', () => {
    expect(wired().signal?.aborted).toBe(false);
    expect(wired('', true).signal?.aborted).toBe(true);
  });

  it.each([
    ['is while the client of a route is there', false, false, false],
    ['is over where the client of a route has gone', true, false, true],
    ['is not cut short by an answer that has been read', true, true, false],
  ])('%s', (_what, destroyed, writableFinished, aborted) => {
    const reply = { elapsedTime: 5, raw: { destroyed, writableFinished } } as FastifyReply;
    const waiter = requestWaiter({ headers: {} } as FastifyRequest, reply);
    expect(waiter.signal?.aborted).toBe(aborted);
  });
});
