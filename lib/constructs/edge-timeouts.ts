import { Duration } from 'aws-cdk-lib';

/**
 * The chain of time limits from the POP to a task. Each hop outlives the one behind it, so that the party that knows
 * most about a slow request is the one that answers it.
 */

/** Longest wait for an answer, at the load balancer and at CloudFront. */
export const EDGE_READ_TIMEOUT = Duration.seconds(60);

/** How long a task that leaves goes on answering what it has already been sent. */
export const EDGE_IDLE_TIMEOUT = Duration.seconds(30);

/** From SIGTERM to SIGKILL; the service drains within 30 s. */
export const EDGE_STOP_TIMEOUT = Duration.seconds(40);
