/** Name under which the sandbox finds the function that calls out of it. */
export const HOST_FUNCTION = '__host';

/**
 * The runtime as the sandbox sees it. It is evaluated inside, so that the promises, objects and errors a function meets
 * are the sandbox's own and all its work ends within one bounded run; only strings and numbers cross to the host.
 * Sources: CloudFront developer guide, "Helper methods for key value stores", "Helper methods for origin modification",
 * "General helper methods", "JavaScript runtime 2.0 features".
 */
export const SANDBOX_PRELUDE = `
'use strict';
(function (host) {
  delete globalThis.${HOST_FUNCTION};

  function inspect(value) {
    return typeof value === 'string' ? value : JSON.stringify(value);
  }
  const write = function () { host('log', Array.prototype.map.call(arguments, inspect).join(' ')); };
  globalThis.console = { log: write, error: write };

  function decode(value, options) {
    const format = (options && options.format) || 'string';
    if (format === 'string') return value;
    if (format === 'json') return JSON.parse(value);
    if (format === 'bytes') return Buffer.from(value);
    throw new Error('format must be string, json or bytes, not ' + format);
  }
  const store = {
    async get(key, options) {
      const value = host('kvs.get', key);
      if (value === undefined) throw new Error('KeyNotFound: ' + key);
      return decode(value, options);
    },
    async exists(key) { return host('kvs.get', key) !== undefined; },
    async count() { return JSON.parse(host('kvs.meta')).keyCount; },
    async meta() { return JSON.parse(host('kvs.meta')); },
  };

  function choose(kind, value) { host('origins', JSON.stringify(Object.assign({ kind: kind }, value))); }
  const cloudfront = {
    kvs: function () { return store; },
    selectRequestOriginById: function (originId, options) {
      if (options !== undefined) throw new Error('the stand-in knows no overrides of selectRequestOriginById');
      choose('origin', { originId: originId });
    },
    createRequestOriginGroup: function (group) { choose('group', group); },
    updateRequestOrigin: function (change) { choose('update', { change: change }); },
    get edgeLocation() { return JSON.parse(host('edgeLocation')); },
  };

  function digester(operation, head) {
    const parts = [];
    return {
      update: function (data) { parts.push(String(data)); return this; },
      digest: function (encoding) { return host.apply(undefined, [operation].concat(head, [parts.join(''), encoding])); },
    };
  }
  const modules = {
    cloudfront: cloudfront,
    crypto: {
      createHash: function (name) { return digester('hash', [name]); },
      createHmac: function (name, key) { return digester('hmac', [name, key]); },
    },
    querystring: {
      parse: function (text) { return JSON.parse(host('querystring.parse', text)); },
      stringify: function (value) { return host('querystring.stringify', JSON.stringify(value)); },
      escape: encodeURIComponent,
      unescape: decodeURIComponent,
    },
    buffer: { Buffer: Buffer },
  };
  globalThis.require = function (name) {
    if (!Object.prototype.hasOwnProperty.call(modules, name)) throw new Error('there is no module ' + name);
    return modules[name];
  };

  globalThis.__run = function () {
    const event = JSON.parse(host('event'));
    Object.defineProperty(event.request, 'rawQueryString', { value: function () { return host('rawQueryString'); } });
    new Promise(function (resolve) { resolve(handler(event)); }).then(
      function (value) {
        const request = value !== null && typeof value === 'object';
        host('resolved', request ? JSON.stringify(value) : undefined);
      },
      function (error) { host('rejected', String((error && error.stack) || error)); }
    );
  };
})(globalThis.${HOST_FUNCTION});
`;
