import type { Registry } from 'prom-client';
import type { ExecutionCounts } from './inference/execution/types';
import { counter, gauge } from './metric-types';

/** Exports what became of the worker processes in which models run; read at each scrape. */
export function exportWorkerMetrics(registry: Registry, counts: () => ExecutionCounts): void {
  gauge(registry, 'cdn_model_workers', 'Worker processes that models are meant to have.', () => [
    [{}, counts().workers.wanted],
  ]);
  gauge(
    registry,
    'cdn_model_workers_ready',
    'Worker processes that can take runs now; 0 while no model needs any.',
    () => [[{}, counts().workers.ready]],
  );
  gauge(registry, 'cdn_model_worker_waiting_runs', 'Runs that have been given to the workers and wait for one.', () => [
    [{}, counts().waiting],
  ]);
  counter(registry, 'cdn_model_worker_deaths_total', 'Workers that died, by signal or exit code.', () =>
    Object.entries(counts().deaths).map(([reason, count]) => [{ reason }, count]),
  );
  counter(registry, 'cdn_model_worker_kills_total', 'Workers killed because a run or a load took too long.', () => [
    [{}, counts().kills],
  ]);
  counter(registry, 'cdn_model_worker_restarts_total', 'Workers started in place of one that ended.', () => [
    [{}, counts().restarts],
  ]);
  counter(registry, 'cdn_model_run_timeouts_total', 'Runs given up, by whose limit: request or host.', () =>
    Object.entries(counts().timeouts).map(([reason, count]) => [{ reason }, count]),
  );
  gauge(registry, 'cdn_model_quarantined', 'Models that get no worker for now, because they kept ending them: 1.', () =>
    counts().quarantined.map((name) => {
      const [model = '', version = ''] = name.split('@');
      return [{ model, version }, 1];
    }),
  );
}
