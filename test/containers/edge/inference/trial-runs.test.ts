import type { RunnableSession } from '../../../../containers/edge/inference/execution/types';
import { measureWarm } from '../../../../containers/edge/inference/trial-runs';

/** Runs with the times that `timesOf` gives for each in turn. */
function sessionOf(timesOf: (run: number) => { readonly computeMs: number; readonly cpuMs?: number }): RunnableSession {
  let runs = 0;
  const run: RunnableSession['run'] = async () => ({ outputs: [], ...timesOf(runs++) });
  return { inputs: [], outputs: [], slots: 1, run, release: async () => undefined };
}

describe('the warm time of a model', () => {
  it('is its CPU time where another process had the processor meanwhile', async () => {
    const disturbed = sessionOf(() => ({ computeMs: 5, cpuMs: 0.1 }));
    expect(await measureWarm(disturbed, [[]], 0.3)).toBe(0.1);
  });

  it('is never above the time inside ONNX Runtime, however many threads its process has', async () => {
    const threaded = sessionOf(() => ({ computeMs: 0.1, cpuMs: 5 }));
    expect(await measureWarm(threaded, [[]], 0.3)).toBe(0.1);
  });

  it('is what one run of fifty takes', async () => {
    const uneven = sessionOf((run) => ({ computeMs: run % 50 === 0 ? 4 : 0.1 }));
    expect(await measureWarm(uneven, [[]], 0.3)).toBe(4);
  });

  it('is not what the machine adds to some runs of many windows, while most are short', async () => {
    const stalled = sessionOf((run) => ({ computeMs: run < 500 && run % 50 === 0 ? 4 : 0.1 }));
    expect(await measureWarm(stalled, [[]], 0.3)).toBe(0.1);
  });

  it('is told of many runs at once by a host that repeats them, of every input in turn', async () => {
    const asked: number[] = [];
    const run: RunnableSession['run'] = async ([input], { repeat } = {}) => {
      if (repeat !== undefined) asked.push(Number(input?.data[0]));
      const eachMs = Array.from({ length: repeat?.runs ?? 1 }, (_, i) => (i === 0 ? 2 : 0.1));
      return { outputs: [], computeMs: 9, ...(repeat === undefined ? {} : { eachMs }) };
    };
    const repeating = { ...sessionOf(() => ({ computeMs: 9 })), run };
    const inputs = [1, 2].map((value) => [
      { name: 'x', datatype: 'FP32' as const, shape: [1], data: Float32Array.of(value) },
    ]);
    expect(await measureWarm(repeating, inputs, 3)).toBe(2);
    expect(asked.length).toBeLessThan(20);
    expect(asked.slice(0, 4)).toEqual([1, 2, 1, 2]);
  });
});
