/**
 * Preloaded into processes that call the local AWS endpoint (`node --require`): `localhost` and every name below it
 * resolve to 127.0.0.1, as RFC 6761 section 6.3 asks of resolvers and glibc does, but Node's own lookup on other
 * systems does not. AWS SDKs put bucket names and account ids before the endpoint's host.
 */
'use strict';
const dns = require('node:dns');

const LOOPBACK = { address: '127.0.0.1', family: 4 };
const isLoopbackName = (hostname) => typeof hostname === 'string' && /(^|\.)localhost\.?$/i.test(hostname);

const systemLookup = dns.lookup;
dns.lookup = function lookup(hostname, options, ...rest) {
  const done = typeof options === 'function' ? options : rest[0];
  if (!isLoopbackName(hostname) || typeof done !== 'function')
    return systemLookup.call(this, hostname, options, ...rest);
  const wantsAll = typeof options === 'object' && options !== null && options.all === true;
  process.nextTick(() => (wantsAll ? done(null, [LOOPBACK]) : done(null, LOOPBACK.address, LOOPBACK.family)));
  return undefined;
};

const systemPromisesLookup = dns.promises.lookup;
dns.promises.lookup = async function lookup(hostname, options) {
  if (!isLoopbackName(hostname)) return systemPromisesLookup.call(this, hostname, options);
  return options?.all === true ? [LOOPBACK] : LOOPBACK;
};
