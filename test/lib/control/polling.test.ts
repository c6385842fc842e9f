import { ControlError } from '../../../lib/control/errors';
import { pollUntil } from '../../../lib/control/polling';
import { FakeClock } from '../../support/aws';

describe('polling', () => {
  const patience = (clock = new FakeClock()) => ({ clock, timeoutMs: 10_000, describe: () => 'the light is red' });

  it('answers what the probe found', async () => {
    let questions = 0;
    const probe = async () => (++questions === 4 ? 'green' : undefined);
    await expect(pollUntil(probe, patience())).resolves.toBe('green');
    expect(questions).toBe(4);
  });

  it('outlives failures of the service it asks', async () => {
    let questions = 0;
    const probe = async () => {
      if (++questions < 3) throw new Error('connection reset');
      return 'green';
    };
    await expect(pollUntil(probe, patience())).resolves.toBe('green');
  });

  it('ends at once when the probe refuses', async () => {
    const clock = new FakeClock();
    const probe = async () => {
      throw new ControlError('the road is closed');
    };
    await expect(pollUntil(probe, patience(clock))).rejects.toThrow('the road is closed');
    expect(clock.now()).toBe(0);
  });

  it('says what is missing, and the last failure, when the time is over', async () => {
    await expect(pollUntil(async () => undefined, patience())).rejects.toThrow(/^the light is red after 10 s$/);
    const failing = async () => {
      throw new TypeError('fetch failed');
    };
    await expect(pollUntil(failing, patience())).rejects.toThrow(
      'the light is red after 10 s (last failure: TypeError: fetch failed)',
    );
  });

  it('stops when it is told to', async () => {
    const controller = new AbortController();
    const probe = async () => {
      controller.abort(new Error('another region failed'));
      return undefined;
    };
    await expect(pollUntil(probe, { ...patience(), signal: controller.signal })).rejects.toThrow(
      'another region failed',
    );
  });
});
