import { setTimeout as sleep } from 'node:timers/promises';
import { Attempts } from '../../../../containers/edge/cache/attempts';
import { deferred } from './fixtures';

describe('Attempts', () => {
  const seen: string[] = [];
  let now = 0;
  const make = (hungMs = 1_000) =>
    new Attempts({
      who: 'it',
      deadlineMs: 10,
      hungMs,
      now: () => now,
      onSuccess: () => void seen.push('success'),
      onFailure: (error) => void seen.push(`failure: ${error instanceof Error ? error.message : ''}`),
      onHung: () => void seen.push('hung'),
    });
  beforeEach(() => {
    seen.length = 0;
    now = 0;
  });

  it('passes replies and errors on, and reports each', async () => {
    const attempts = make();
    await expect(attempts.run(Promise.resolve(7))).resolves.toBe(7);
    await expect(attempts.run(Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(seen).toEqual(['success', 'failure: no']);
    expect(attempts.outstanding).toBe(0);
  });

  it('gives up on those past the deadline, in any order of replies, and ignores what they answer later', async () => {
    const attempts = make();
    const [first, second, third] = [deferred<number>(), deferred<number>(), deferred<number>()];
    const results = [first, second].map(({ promise }) => attempts.run(promise));
    now = 5;
    const last = attempts.run(third.promise);
    second.resolve(2);
    now = 11;
    await expect(results[0]).rejects.toThrow('it did not answer within 10 ms');
    await expect(results[1]).resolves.toBe(2);
    expect(attempts.outstanding).toBe(2);
    first.resolve(1);
    third.resolve(3);
    await expect(last).resolves.toBe(3);
    expect(seen).toEqual(['success', 'failure: it did not answer within 10 ms', 'success']);
    expect(attempts.outstanding).toBe(0);
  });

  it('keeps the deadline of those that follow a reply which never comes', async () => {
    const attempts = make(3_600_000);
    for (let i = 0; i < 3; i++) {
      const never = attempts.run(new Promise<void>(() => undefined));
      now += 10;
      await expect(never).rejects.toThrow('did not answer');
    }
    attempts.close();
  });

  it('takes a reply that arrived while the event loop was busy for one in time', async () => {
    const attempts = new Attempts({
      who: 'it',
      deadlineMs: 10,
      hungMs: 1_000,
      onSuccess: () => void seen.push('success'),
      onFailure: () => void seen.push('failure'),
      onHung: () => void seen.push('hung'),
    });
    const reply = deferred<string>();
    const result = attempts.run(reply.promise);
    // Runs in the check phase after the poll phase of the same turn, as a reply from a socket would be read.
    const until = performance.now() + 30;
    while (performance.now() < until);
    setImmediate(() => reply.resolve('in time'));
    await expect(result).resolves.toBe('in time');
    expect(seen).toEqual(['success']);
  });

  it('says when a reply has been missing for too long', async () => {
    const attempts = make(20);
    const never = attempts.run(new Promise<void>(() => undefined));
    now = 10;
    await expect(never).rejects.toThrow('did not answer');
    expect(seen).not.toContain('hung');
    now = 20;
    while (!seen.includes('hung')) await sleep(1);
    attempts.close();
    expect(attempts.outstanding).toBe(0);
  });

  it('gives up on everything when it is closed', async () => {
    const attempts = make();
    const open = attempts.run(new Promise<void>(() => undefined));
    attempts.close();
    await expect(open).rejects.toThrow('did not answer');
  });

  it('remembers no more than what is outstanding', async () => {
    const attempts = make();
    const stuck = deferred<void>();
    const result = attempts.run(stuck.promise);
    for (let i = 0; i < 5_000; i++) await attempts.run(Promise.resolve());
    expect(attempts.outstanding).toBe(1);
    stuck.resolve();
    await result;
    expect(attempts.outstanding).toBe(0);
  });
});
