import { randomBytes } from 'node:crypto';
import type { Service } from '../../../local/ecs/service';
import type { Task } from '../../../local/ecs/task';
import { changeProtection, ScaleInProtection } from '../../../local/ecs/task-protection';

const MINUTE = 60_000;

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

describe('a protection', () => {
  test('ends when it is taken away, or by itself after two hours or what was asked for', () => {
    const onEnd = jest.fn();
    const protection = new ScaleInProtection(onEnd);
    expect(protection).toMatchObject({ isOn: false, until: undefined });
    protection.set({ enabled: true, minutes: 5 });
    jest.advanceTimersByTime(5 * MINUTE - 1);
    expect(protection.isOn).toBe(true);
    expect(onEnd).not.toHaveBeenCalled();
    jest.advanceTimersByTime(1);
    expect(protection.isOn).toBe(false);
    expect(onEnd).toHaveBeenCalledTimes(1);

    protection.set({ enabled: true });
    expect(protection.until).toEqual(new Date(Date.now() + 120 * MINUTE));
    protection.set({ enabled: false });
    expect(protection).toMatchObject({ isOn: false, until: undefined });
    expect(onEnd).toHaveBeenCalledTimes(2);
  });

  test('lasts as long as was asked for last', () => {
    const onEnd = jest.fn();
    const protection = new ScaleInProtection(onEnd);
    protection.set({ enabled: true, minutes: 10 });
    jest.advanceTimersByTime(5 * MINUTE);
    protection.set({ enabled: true, minutes: 10 });
    jest.advanceTimersByTime(9 * MINUTE);
    expect(protection.isOn).toBe(true);
    protection.set({ enabled: true, minutes: 1 });
    jest.advanceTimersByTime(MINUTE);
    expect(protection.isOn).toBe(false);
    expect(onEnd).toHaveBeenCalledTimes(1);
  });
});

describe('ECS protects', () => {
  const task = (status: Task['status'] = 'RUNNING') =>
    ({ id: randomBytes(4).toString('hex'), status, protection: new ScaleInProtection(() => undefined) }) as Task;
  const service = (desiredCount: number, ...tasks: Task[]) => ({ desiredCount, tasks: new Set(tasks) }) as Service;
  const on = { enabled: true, minutes: 1 };

  test('a running task until a time', () => {
    const own = task();
    const until = new Date(Date.now() + MINUTE);
    expect(changeProtection(service(1, own), own, on)).toEqual({ protection: { enabled: true, until } });
    expect(changeProtection(service(1, own), own, on)).toEqual({ protection: { enabled: true, until } });
  });

  test.each(['PENDING', 'DEACTIVATING', 'STOPPING', 'STOPPED'] as const)('no task that is %s', (status) => {
    const own = task(status);
    expect(changeProtection(service(1, own), own, on)).toMatchObject({ failure: { reason: 'TASK_NOT_VALID' } });
    expect(own.protection.isOn).toBe(false);
  });

  test('no more tasks than the service wants, and releases any', () => {
    const [first, second] = [task(), task()];
    expect(changeProtection(service(2, first, second), first, on)).toHaveProperty('protection');
    const shrunk = service(1, first, second);
    expect(changeProtection(shrunk, second, on)).toMatchObject({ failure: { reason: 'DEPLOYMENT_BLOCKED' } });
    expect(changeProtection(shrunk, first, on)).toHaveProperty('protection');
    expect(changeProtection(shrunk, second, { enabled: false })).toEqual({
      protection: { enabled: false, until: undefined },
    });
  });
});
