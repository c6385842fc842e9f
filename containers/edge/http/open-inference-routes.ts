import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LIVE_VERSION_HEADER } from '../../../lib/core/channel';
import { version as SERVER_VERSION } from '../../../package.json';
import { ServiceError } from '../errors';
import type { LoadedModel } from '../inference/loaded-model';
import { answerHeaders } from './answer-headers';
import type { HttpContext } from './context';
import { requestWaiter } from './deadline';
import { registerConfigurationRoutes } from './v2/configuration-routes';
import { chooseNamed, infer, type NamedModel } from './v2/infer';
import { registerRepositoryRoutes } from './v2/repository-routes';
import { HEADER_LENGTH_HEADER, readBody } from './v2/request-body';
import { registerStatisticsRoutes } from './v2/statistics-routes';

interface ModelParams {
  readonly model: string;
  readonly version?: string;
}

type ModelRequest = FastifyRequest<{ Params: ModelParams }>;

/** Extensions of the protocol that the routes here serve, by the names that Triton's clients look for. */
const EXTENSIONS: readonly string[] = [
  'binary_tensor_data',
  'classification',
  'model_repository',
  'model_configuration',
  'statistics',
];

/**
 * The Open Inference Protocol v2 over REST, below `/v2`, with Triton's binary tensor data and classification.
 * https://github.com/open-inference/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
 */
export function registerOpenInferenceRoutes(app: FastifyInstance, context: HttpContext): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request: FastifyRequest, payload: Readable) =>
    readBody(request.raw, payload, request.routeOptions.bodyLimit ?? app.initialConfig.bodyLimit ?? 0),
  );
  registerServerRoutes(app, context);
  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version'])
    registerModelRoutes(app, context, path);
  registerRepositoryRoutes(app, context);
  registerConfigurationRoutes(app, context);
  registerStatisticsRoutes(app, context);
  app.all('/v2/*', async (request) => {
    throw new ServiceError('not_found', `there is no ${request.method} ${request.url.split('?')[0]}`);
  });
}

function registerServerRoutes(app: FastifyInstance, context: HttpContext): void {
  app.get('/v2', async () => ({
    name: context.serverName ?? 'mlcdn',
    version: SERVER_VERSION,
    extensions: EXTENSIONS,
  }));
  app.get('/v2/health/live', async () => ({ live: true }));
  app.get('/v2/health/ready', async (_request, reply) => {
    const ready = context.unavailableReason() === undefined && context.repository.names().length > 0;
    return reply.code(ready ? 200 : 503).send({ ready });
  });
  for (const path of ['/v2', '/v2/health/live', '/v2/health/ready']) refuseOtherMethods(app, path, ['GET', 'HEAD']);
}

function registerModelRoutes(app: FastifyInstance, context: HttpContext, path: string): void {
  app.get<{ Params: ModelParams }>(path, async (request) =>
    withModel(context, request, async (model) => metadataOf(context, model)),
  );
  app.get<{ Params: ModelParams }>(`${path}/ready`, async (request) =>
    withModel(context, request, async (model) => ({ name: model.name, ready: true })),
  );
  app.post<{ Params: ModelParams }>(`${path}/infer`, async (request, reply) => answerInfer(context, request, reply));
  for (const each of [path, `${path}/ready`]) refuseOtherMethods(app, each, ['GET', 'HEAD']);
  refuseOtherMethods(app, `${path}/infer`, ['POST']);
}

async function answerInfer(context: HttpContext, request: ModelRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { headers } = request;
  const call = {
    ...namedBy(request),
    body: (request.body as Buffer | undefined) ?? Buffer.alloc(0),
    headerLength: headers[HEADER_LENGTH_HEADER],
    waiter: (timeoutUs: number | undefined) => requestWaiter(request, reply, timeoutUs),
  };
  const { answer, headers: own, body } = await infer(context, call, headers['accept-encoding']);
  request.cacheLevel = answer.tier;
  return reply.headers(answerHeaders(answer, 'no-store')).headers(own).send(body);
}

async function withModel<T>(
  context: HttpContext,
  request: ModelRequest,
  use: (model: LoadedModel) => Promise<T>,
): Promise<T> {
  const choice = chooseNamed(context, namedBy(request));
  try {
    return await use(choice.model);
  } finally {
    choice.release();
  }
}

function namedBy({ params, headers }: ModelRequest): NamedModel {
  const liveVersion = headers[LIVE_VERSION_HEADER];
  return {
    model: params.model,
    version: params.version,
    liveVersion: typeof liveVersion === 'string' ? liveVersion : undefined,
  };
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

function refuseOtherMethods(app: FastifyInstance, url: string, allowed: readonly string[]): void {
  app.route({
    method: app.supportedMethods.filter((method) => !allowed.includes(method)),
    url,
    handler: async (request, reply) => {
      reply.header('allow', allowed.join(', '));
      throw new ServiceError('method_not_allowed', `${request.url.split('?')[0]} does not answer ${request.method}`);
    },
  });
}
