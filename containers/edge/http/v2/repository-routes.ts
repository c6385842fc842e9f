import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ModelName, ModelVersion } from '../../../../lib/core/model-name';
import { invalidField, messageOf, ServiceError } from '../../errors';
import type { LoadRequest, ModelControl } from '../../inference/model-control';
import { parseTritonConfigJson } from '../../inference/model-settings';
import type { HttpContext } from '../context';
import { asObject } from '../predict-request';
import { splitBody } from './request-body';

type ModelRequest = FastifyRequest<{ Params: { readonly model: string } }>;

/**
 * The model repository extension: what there is, and loading and unloading it.
 * https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md
 */
export function registerRepositoryRoutes(app: FastifyInstance, context: HttpContext): void {
  app.post('/v2/repository/index', async (request, reply) => {
    const { ready } = bodyOf(request);
    if (ready !== undefined && typeof ready !== 'boolean') throw invalidField('ready', 'true or false', ready);
    const entries = await controlOf(context).index();
    reply.header('cache-control', 'no-store');
    return ready === true ? entries.filter(({ state }) => state === 'READY') : entries;
  });

  app.post('/v2/repository/models/:model/load', (request: ModelRequest) =>
    carryOut(request, 'load', async (model) => {
      const wanted = loadRequestOf(parametersOf(request));
      await permitted(context).load(model, wanted);
    }),
  );

  app.post('/v2/repository/models/:model/unload', (request: ModelRequest) =>
    carryOut(request, 'unload', async (model) => {
      await permitted(context).unload(model, versionOf(parametersOf(request)));
    }),
  );
}

/** Triton answers every failure with 400 and these words, which programs written for its clients look for. */
async function carryOut(
  request: ModelRequest,
  verb: 'load' | 'unload',
  work: (model: string) => Promise<void>,
): Promise<object> {
  const { model } = request.params;
  try {
    if (!ModelName.safeParse(model).success) throw invalidField('the name', 'a model name', model);
    await work(model);
    return {};
  } catch (error) {
    throw new ServiceError('invalid_request', `failed to ${verb} '${model}': ${messageOf(error)}`, { cause: error });
  }
}

function controlOf({ control }: HttpContext): ModelControl {
  if (control === undefined) throw new ServiceError('not_found', 'this service has no model repository');
  return control;
}

function permitted(context: HttpContext): ModelControl {
  if (context.modelControl === true) return controlOf(context);
  throw new Error('clients may not load and unload models here (MODEL_CONTROL=explicit lets them)');
}

/** An empty body stands for an empty object. */
function bodyOf(request: FastifyRequest): Record<string, unknown> {
  const body = request.body as Buffer | undefined;
  if (body === undefined || body.length === 0) return {};
  return asObject(splitBody(body, undefined).json(), 'the body');
}

function parametersOf(request: FastifyRequest): Record<string, unknown> {
  const { parameters } = bodyOf(request);
  return parameters === undefined ? {} : asObject(parameters, 'parameters');
}

function loadRequestOf(parameters: Readonly<Record<string, unknown>>): LoadRequest {
  for (const name of Object.keys(parameters)) {
    if (name.startsWith('file:')) {
      throw new Error(
        `parameters[${JSON.stringify(name)}]: files are not taken from requests, only from the repository`,
      );
    }
  }
  const { config } = parameters;
  if (config !== undefined && typeof config !== 'string') {
    throw invalidField('parameters.config', 'a text that holds a JSON object', config);
  }
  return { version: versionOf(parameters), settings: config === undefined ? undefined : settingsOf(config) };
}

function settingsOf(config: string): LoadRequest['settings'] {
  try {
    return parseTritonConfigJson(config);
  } catch (error) {
    throw new Error(`parameters.config ${messageOf(error)}`, { cause: error });
  }
}

function versionOf({ version }: Readonly<Record<string, unknown>>): string | undefined {
  if (version === undefined) return undefined;
  const text = typeof version === 'number' ? String(version) : version;
  const parsed = ModelVersion.safeParse(text);
  if (!parsed.success) throw invalidField('parameters.version', 'a version, such as "2"', version);
  return parsed.data;
}
