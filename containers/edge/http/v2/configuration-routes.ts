import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Datatype, TensorSpec } from '../../../../lib/core/manifest';
import type { LoadedModel } from '../../inference/loaded-model';
import type { ModelTraits } from '../../inference/model-state';
import type { HttpContext } from '../context';
import { chooseModel } from '../model-choice';

type ConfigurationRequest = FastifyRequest<{ Params: { readonly model: string; readonly version?: string } }>;

/**
 * The model configuration extension: how a version is run, as Triton's ModelConfig says it.
 * https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_configuration.md
 */
export function registerConfigurationRoutes(app: FastifyInstance, { repository }: HttpContext): void {
  for (const path of ['/v2/models/:model/config', '/v2/models/:model/versions/:version/config']) {
    app.get(path, async (request: ConfigurationRequest, reply) => {
      const { model, release } = chooseModel(repository, undefined, request.params);
      try {
        const traits = repository.traits(model.name, model.version);
        reply.header('cache-control', 'no-store');
        return configurationOf(model, traits, repository.residentVersions(model.name));
      } finally {
        release();
      }
    });
  }
}

function configurationOf(model: LoadedModel, traits: ModelTraits | undefined, versions: readonly string[]): object {
  const { maxBatchSize = 0, instances = 1, isInline = false } = traits ?? {};
  const isBatched = maxBatchSize > 0;
  return {
    name: model.name,
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    runtime: '',
    // Triton's versions are numbers; others can only be named as they are.
    version_policy: { specific: { versions: versions.map((each) => (/^\d{1,15}$/.test(each) ? Number(each) : each)) } },
    max_batch_size: maxBatchSize,
    input: model.inputs.map((spec) => ({ ...tensorOf(spec, isBatched), format: 'FORMAT_NONE', optional: false })),
    output: model.outputs.map((spec) => ({ ...tensorOf(spec, isBatched), label_filename: '' })),
    instance_group: [{ name: model.name, kind: 'KIND_CPU', count: instances }],
    default_model_filename: 'model.onnx',
    // Nothing waits for a batch to fill: what has come in meanwhile is run together.
    ...(isBatched ? { dynamic_batching: { preferred_batch_size: [], max_queue_delay_microseconds: 0 } } : {}),
    response_cache: { enable: model.cache.ttlSeconds > 0 },
    parameters: { placement: { string_value: isInline ? 'service thread' : 'worker processes' } },
  };
}

/** Where rows are batched, Triton leaves the axis of the batch out. */
function tensorOf({ name, datatype, shape }: TensorSpec, isBatched: boolean): object {
  return { name, data_type: dataTypeOf(datatype), dims: isBatched ? shape.slice(1) : shape };
}

function dataTypeOf(datatype: Datatype): string {
  return `TYPE_${datatype === 'BYTES' ? 'STRING' : datatype}`;
}
