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
});
