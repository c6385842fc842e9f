/** Request header: how long the client waits for its answer, whole ms from the arrival of its request. */
export const REQUEST_TIMEOUT_HEADER = 'x-request-timeout-ms';
