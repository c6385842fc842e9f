import type { Registry } from 'prom-client';
import type { LoadedModel } from './inference/loaded-model';
import type { ModelRepository } from './inference/model-repository';
import { counter, gauge, type Sample } from './metric-types';

/** One number of a version in memory, under our name and, where Triton has it, under Triton's as well. */
interface ModelCounter {
  readonly name?: string;
  readonly tritonName?: string;
  readonly help: string;
  readonly read: (model: LoadedModel) => number;
}

const seconds = (ns: number) => ns / 1e9;
const microseconds = (ns: number) => Math.round(ns / 1e3);

/** https://github.com/triton-inference-server/server/blob/main/docs/user_guide/metrics.md */
const COUNTERS: readonly ModelCounter[] = [
  {
    name: 'cdn_model_inferences_total',
    tritonName: 'nv_inference_count',
    help: 'Rows that were run with success.',
    read: ({ statistics }) => statistics.inferenceCount,
  },
  {
    name: 'cdn_model_executions_total',
    tritonName: 'nv_inference_exec_count',
    help: 'Runs of the model with success.',
    read: ({ statistics }) => statistics.executionCount,
  },
  {
    tritonName: 'nv_inference_request_success',
    help: 'Requests answered.',
    read: ({ statistics }) => statistics.success.count,
  },
  {
    tritonName: 'nv_inference_request_failure',
    help: 'Requests that failed.',
    read: ({ statistics }) => statistics.fail.count,
  },
  {
    name: 'cdn_model_request_seconds_total',
    help: 'Time of requests answered, from cache or model, without those that memory answered at once.',
    read: ({ statistics }) => seconds(statistics.success.ns),
  },
  {
    tritonName: 'nv_inference_request_duration_us',
    help: 'Time of requests answered, us.',
    read: ({ statistics }) => microseconds(statistics.success.ns),
  },
  {
    name: 'cdn_model_queue_seconds_total',
    help: 'Time that what ran had waited for a slot.',
    read: ({ statistics }) => seconds(statistics.queue.ns),
  },
  {
    tritonName: 'nv_inference_queue_duration_us',
    help: 'Time that what ran had waited for a slot, us.',
    read: ({ statistics }) => microseconds(statistics.queue.ns),
  },
  {
    name: 'cdn_model_compute_seconds_total',
    help: 'Time inside ONNX Runtime, counted for each request of a batch.',
    read: ({ statistics }) => seconds(statistics.compute.infer.ns),
  },
  {
    tritonName: 'nv_inference_compute_infer_duration_us',
    help: 'Time inside ONNX Runtime, counted for each request of a batch, us.',
    read: ({ statistics }) => microseconds(statistics.compute.infer.ns),
  },
  {
    tritonName: 'nv_inference_compute_input_duration_us',
    help: 'Time to hand inputs to ONNX Runtime, counted for each request of a batch, us.',
    read: ({ statistics }) => microseconds(statistics.compute.input.ns),
  },
  {
    tritonName: 'nv_inference_compute_output_duration_us',
    help: 'Time to take outputs from ONNX Runtime, counted for each request of a batch, us.',
    read: ({ statistics }) => microseconds(statistics.compute.output.ns),
  },
  {
    name: 'cdn_model_cache_hits_total',
    tritonName: 'nv_cache_num_hits_per_model',
    help: 'Look-ups that the cache answered.',
    read: ({ statistics }) => statistics.cacheHit.count,
  },
  {
    name: 'cdn_model_cache_misses_total',
    tritonName: 'nv_cache_num_misses_per_model',
    help: 'Look-ups that the cache did not answer.',
    read: ({ statistics }) => statistics.cacheMiss.count,
  },
  {
    tritonName: 'nv_cache_hit_duration_per_model',
    help: 'Time of look-ups that the cache answered, us.',
    read: ({ statistics }) => microseconds(statistics.cacheHit.ns),
  },
  {
    tritonName: 'nv_cache_miss_duration_per_model',
    help: 'Time of requests that the cache did not answer, us.',
    read: ({ statistics }) => microseconds(statistics.cacheMiss.ns),
  },
  {
    name: 'cdn_model_failed_batches_total',
    help: 'Batches that failed and whose requests were run again one by one.',
    read: ({ statistics }) => statistics.failedBatches,
  },
];

/** Adds what the versions in memory have done; plain numbers, read at each scrape. */
export function exportModelMetrics(registry: Registry, repository: ModelRepository): void {
  const samples = (read: (model: LoadedModel) => number): Sample[] =>
    repository.residentModels().map((model) => [{ model: model.name, version: model.version }, read(model)]);

  for (const { name, tritonName, help, read } of COUNTERS) {
    if (name !== undefined) counter(registry, name, help, () => samples(read));
    if (tritonName !== undefined) counter(registry, tritonName, help, () => samples(read));
  }
  counter(registry, 'cdn_model_requests_total', 'Requests of a model, by how they ended.', () =>
    byField(repository, 'status', ({ statistics }) => ({
      success: statistics.success.count,
      failure: statistics.fail.count,
    })),
  );
  counter(registry, 'cdn_model_dropped_total', 'Requests that never ran, by why.', () =>
    byField(repository, 'reason', ({ statistics: { overloaded, deadlineExceeded, abandoned } }) => ({
      overloaded,
      deadline_exceeded: deadlineExceeded,
      abandoned,
    })),
  );
  const waiting = ({ queue }: LoadedModel) => queue.waitingRequests;
  gauge(registry, 'cdn_model_waiting_requests', 'Requests that wait for a slot.', () => samples(waiting));
  gauge(registry, 'nv_inference_pending_request_count', 'Requests that wait for a slot.', () => samples(waiting));
  gauge(registry, 'cdn_model_live', 'Whether a version in memory is the one that serves: 1 or 0.', () =>
    samples((model) => (repository.live(model.name) === model ? 1 : 0)),
  );
  gauge(registry, 'cdn_model_refused', 'Versions that a gate refused and that never serve: 1.', () =>
    Object.entries(repository.report()).flatMap(([model, versions]) =>
      versions.filter(({ state }) => state === 'refused').map(({ version }): Sample => [{ model, version }, 1]),
    ),
  );
}

function byField(
  repository: ModelRepository,
  label: 'status' | 'reason',
  read: (model: LoadedModel) => Readonly<Record<string, number>>,
): Sample[] {
  return repository.residentModels().flatMap((model) =>
    Object.entries(read(model)).map(([value, count]): Sample => {
      return [{ model: model.name, version: model.version, [label]: value }, count];
    }),
  );
}
