import { Registry } from 'prom-client';
import { exportWorkerMetrics } from '../../../containers/edge/worker-metrics';

test('what became of the workers is read at each scrape', async () => {
  const registry = new Registry();
  let kills = 0;
  exportWorkerMetrics(registry, () => ({
    workers: { wanted: 4, ready: 3 },
    waiting: 2,
    deaths: { SIGSEGV: 1, 'exit 1': 5 },
    kills,
    restarts: 6,
    timeouts: { request: 7, host: 8 },
    quarantined: ['ranker@2.1'],
  }));
  kills = 9;
  const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  expect(lines.sort()).toEqual([
    'cdn_model_quarantined{model="ranker",version="2.1"} 1',
    'cdn_model_run_timeouts_total{reason="host"} 8',
    'cdn_model_run_timeouts_total{reason="request"} 7',
    'cdn_model_worker_deaths_total{reason="SIGSEGV"} 1',
    'cdn_model_worker_deaths_total{reason="exit 1"} 5',
    'cdn_model_worker_kills_total 9',
    'cdn_model_worker_restarts_total 6',
    'cdn_model_worker_waiting_runs 2',
    'cdn_model_workers 4',
    'cdn_model_workers_ready 3',
  ]);
});
