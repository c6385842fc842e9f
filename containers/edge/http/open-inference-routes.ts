import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LIVE_VERSION_HEADER } from '../../../lib/core/channel';
import { version as SERVER_VERSION } from '../../../package.json';
import { ServiceError } from '../errors';
import type { LoadedModel } from '../inference/loaded-model';
import { outputTexts } from '../inference/prediction-body';
import { answerHeaders } from './answer-headers';
import type { HttpContext } from './context';
import { parseInferRequest } from './infer-request';
import { chooseModel, type ModelChoice } from './model-choice';

interface ModelParams {
  readonly model: string;
  readonly version?: string;
}

/**
 * The Open Inference Protocol v2 over REST, below `/v2`.
 * https://github.com/open-inference/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
 */
export function registerOpenInferenceRoutes(app: FastifyInstance, context: HttpContext): void {
  app.get('/v2', async () => ({ name: 'mlcdn', version: SERVER_VERSION, extensions: [] }));
  app.get('/v2/health/live', async () => ({ live: true }));
  app.get('/v2/health/ready', async (_request, reply) => {
    const ready = context.unavailableReason() === undefined && context.repository.names().length > 0;
    return reply.code(ready ? 200 : 503).send({ ready });
  });
  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version'] as const) {
    app.get<{ Params: ModelParams }>(path, async (request) =>
      withModel(context, request, async (model) => metadataOf(context, model)),
    );
    app.get<{ Params: ModelParams }>(`${path}/ready`, async (request) =>
      withModel(context, request, async (model) => ({ name: model.name, ready: true })),
    );
    app.post<{ Params: ModelParams }>(`${path}/infer`, async (request, reply) =>
      withModel(context, request, async (model) => {
        const { id, inputs, outputIndexes } = parseInferRequest(request.body, model);
        const answer = await context.predictor.predict(model, inputs);
        request.cacheLevel = answer.tier;
        const texts = outputTexts(answer.body);
        const outputs = outputIndexes.map((index) => texts[index]).join(',');
        const idField = id === undefined ? '' : `"id":${JSON.stringify(id)},`;
        const names = `"model_name":${JSON.stringify(model.name)},"model_version":${JSON.stringify(model.version)}`;
        return reply
          .headers(answerHeaders(answer, 'no-store'))
          .type('application/json; charset=utf-8')
          .send(`{${names},${idField}"outputs":[${outputs}]}`);
      }),
    );
  }
  app.all('/v2/*', async (request) => {
    throw new ServiceError('not_found', `there is no ${request.method} ${request.url.split('?')[0]}`);
  });
}

async function withModel<T>(
  context: HttpContext,
  request: FastifyRequest<{ Params: ModelParams }>,
  use: (model: LoadedModel) => Promise<T>,
): Promise<T> {
  const choice = choose(context, request);
  try {
    return await use(choice.model);
  } finally {
    choice.release();
  }
}

function choose(context: HttpContext, request: FastifyRequest<{ Params: ModelParams }>): ModelChoice {
  const liveVersion = request.headers[LIVE_VERSION_HEADER];
  return chooseModel(context.repository, undefined, {
    model: request.params.model,
    version: request.params.version,
    liveVersion: typeof liveVersion === 'string' ? liveVersion : undefined,
  });
}

function metadataOf(context: HttpContext, model: LoadedModel): object {
  return {
    name: model.name,
    versions: context.repository.residentVersions(model.name),
    platform: 'onnx_onnxv1',
    inputs: model.inputs,
    outputs: model.outputs,
  };
}
