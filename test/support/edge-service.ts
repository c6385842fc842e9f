import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { readConfig } from '../../containers/edge/config';
import { createSessionHost } from '../../containers/edge/inference/execution/session-host';
import { createEdgeService, type EdgeService } from '../../containers/edge/service';
import { testWorkerCommand } from './model-workers';

/** A JSON answer of the service with what a test may look at. */
export interface JsonAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** An edge service that listens on a free port of 127.0.0.1. */
export interface RunningEdge {
  readonly url: string;
  readonly service: EdgeService;
  get(path: string, headers?: Record<string, string>): Promise<JsonAnswer>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<JsonAnswer>;
  stop(): Promise<void>;
}

/** Starts the service in this process with these environment variables. */
export async function startEdge(environment: Record<string, string>): Promise<RunningEdge> {
  const config = readConfig({ PORT: '0', REGION: 'eu-west-1', LOG_LEVEL: 'silent', ...environment });
  const log = pino({ level: config.logLevel });
  const service = await createEdgeService(config, log, createSessionHost(config, log, testWorkerCommand()));
  await service.app.listen({ port: config.port, host: config.host });
  const { port } = service.app.server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    service,
    get: (path, headers = {}) => call(url + path, { headers }),
    post: (path, body, headers = {}) =>
      call(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    stop: () => service.close(),
  };
}

/** A new empty directory and how to remove it. */
export async function temporaryDirectory(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'mlcdn-test-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

async function call(url: string, init: RequestInit): Promise<JsonAnswer> {
  const response = await fetch(url, init);
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: JSON.parse(text) };
}
