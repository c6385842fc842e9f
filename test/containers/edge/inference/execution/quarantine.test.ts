import { type Entry, Quarantine } from '../../../../../containers/edge/inference/execution/quarantine';

const LIMITS = { strikes: 3, windowMs: 60_000, firstMs: 10_000, longestMs: 40_000 };

let now: number;
let quarantine: Quarantine;
beforeEach(() => {
  now = 1_000_000;
  quarantine = new Quarantine(LIMITS, () => now);
});

function enter(): Entry {
  const entry = quarantine.enter();
  if (typeof entry === 'string') throw new Error(entry);
  return entry;
}

function strike(times: number): void {
  for (let i = 0; i < times; i += 1) quarantine.strike(enter(), 'SIGSEGV');
}

test('begins with the last of so many strikes in a window, and says why and for how long', () => {
  strike(2);
  expect(quarantine.active).toBe(false);
  strike(1);
  expect(quarantine.enter()).toBe('quarantined, for it keeps ending its workers (last: SIGSEGV); tried again in 10 s');
});

test('does not begin by strikes that are further apart, whatever went well between', () => {
  for (let i = 0; i < 10; i += 1) {
    strike(1);
    quarantine.passed(enter());
    now += 30_000;
  }
  expect(quarantine.active).toBe(false);
});

test('lets one run in when its time is over, and ends when that goes well', () => {
  strike(3);
  now += 10_000;
  const trial = enter();
  expect(quarantine.enter()).toContain('tried again at this moment');
  quarantine.passed(trial);
  expect(quarantine.active).toBe(false);
  enter();
});

test('lets another run in when the one that should have tried did not come to it', () => {
  strike(3);
  now += 10_000;
  quarantine.abandoned(enter());
  expect(enter()).toEqual({ isTrial: true });
});

test('is twice as long after a trial that failed, up to a bound', () => {
  strike(3);
  const lengths = [10_000, 20_000, 40_000, 40_000].map((length) => {
    now += length - 1;
    const early = quarantine.enter();
    now += 1;
    quarantine.strike(enter(), 'SIGKILL');
    return typeof early;
  });
  expect(lengths).toEqual(['string', 'string', 'string', 'string']);
});

test('is twice as long when it begins again soon after it ended, and as at first when later', () => {
  strike(3);
  now += 10_000;
  quarantine.passed(enter());
  strike(3);
  expect(quarantine.enter()).toContain('in 20 s');
  now += 20_000;
  quarantine.passed(enter());
  now += 60_000;
  strike(3);
  expect(quarantine.enter()).toContain('in 10 s');
});

test('is not ended or prolonged by runs that were let in before it', () => {
  const [before, other] = [enter(), enter()];
  strike(3);
  quarantine.passed(before);
  quarantine.strike(other, 'SIGKILL');
  expect(quarantine.enter()).toContain('in 10 s');
});
