/**
 * The Lambda runtime of a function's child process: loads the handler at the first event and answers one event at a
 * time over Node's IPC channel. Arguments: directory of the code, handler (`file.export`).
 * Error shapes: AWS Lambda developer guide, "Lambda function errors in Node.js".
 */
'use strict';
const { existsSync } = require('node:fs');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');

const [directory, handlerName] = process.argv.slice(2);

async function loadHandler() {
  const dot = handlerName.lastIndexOf('.');
  const [file, exportName] = [handlerName.slice(0, dot), handlerName.slice(dot + 1)];
  const path = ['.js', '.cjs', '.mjs'].map((extension) => join(directory, file + extension)).find(existsSync);
  if (!path) throw named('Runtime.ImportModuleError', `Cannot find module '${file}' in ${directory}`);
  const module = path.endsWith('.mjs') ? await import(pathToFileURL(path).href) : require(path);
  const handler = module[exportName] ?? module.default?.[exportName];
  if (typeof handler !== 'function')
    throw named('Runtime.HandlerNotFound', `${handlerName} is undefined or not exported`);
  return handler;
}

function named(name, message) {
  return Object.assign(new Error(message), { name });
}

let handlerLoading;

async function answer({ event, context, deadline }) {
  try {
    handlerLoading ??= loadHandler();
    const handler = await handlerLoading;
    const lambdaContext = { ...context, getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()) };
    const result = await call(handler, JSON.parse(event), lambdaContext);
    return { payload: JSON.stringify(result === undefined ? null : result) };
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : named('Error', String(thrown));
    console.error(error);
    const trace = (error.stack ?? '').split('\n');
    return {
      functionError: true,
      payload: JSON.stringify({ errorType: error.name, errorMessage: error.message, trace }),
    };
  }
}

function call(handler, event, context) {
  if (handler.length < 3) return handler(event, context);
  return new Promise((resolve, reject) => {
    handler(event, context, (error, result) => (error ? reject(error) : resolve(result)));
  });
}

process.on('message', (message) => void answer(message).then((reply) => process.send(reply)));
process.on('disconnect', () => process.exit(0));
