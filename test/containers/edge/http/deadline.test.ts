import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { clientOf, deadlineOfHeader, runOptions } from '../../../../containers/edge/http/deadline';

/** What a deadline looks at of a response. */
class FakeResponse extends EventEmitter {
  destroyed = false;
  writableFinished = false;
}

const responseOf = (fake: FakeResponse) => clientOf(fake as unknown as ServerResponse);

describe('how long an answer is wanted', () => {
  it('is what the header says, from the arrival of the request', () => {
    expect(deadlineOfHeader(undefined, 1000)).toBeUndefined();
    expect(deadlineOfHeader('250', 1000)).toBe(1250);
    expect(() => deadlineOfHeader(['1', '2'], 0)).toThrow('header x-request-timeout-ms must be');
  });

  it('is until the earliest deadline, where there is any', () => {
    const response = responseOf(new FakeResponse());
    expect(runOptions(response, undefined, 30, 20).deadline).toBe(20);
    expect('deadline' in runOptions(response, undefined)).toBe(false);
  });

  it('is while the client is there', () => {
    const fake = new FakeResponse();
    const options = runOptions(responseOf(fake));
    expect(fake.listenerCount('close')).toBe(0);
    expect(options.signal?.aborted).toBe(false);
    expect(options.signal).toBe(options.signal);
    fake.emit('close');
    expect(options.signal?.reason).toMatchObject({ code: 'client_closed_request' });
  });

  it('is not cut short by an answer that has been read', () => {
    const fake = new FakeResponse();
    const { signal } = runOptions(responseOf(fake));
    fake.writableFinished = true;
    fake.emit('close');
    expect(signal?.aborted).toBe(false);
  });

  it('is over where the client has gone already', () => {
    const fake = new FakeResponse();
    fake.destroyed = true;
    expect(runOptions(responseOf(fake)).signal?.aborted).toBe(true);
  });
});
