import type { Logger } from './control/types';
import { EmfReporter, type EmfSettings } from './emf';
import { messageOf } from './errors';

/** CloudWatch's finest resolution for metrics at the normal price, ms. */
const PERIOD_MS = 60_000;

/** Reports are made in the middle of CloudWatch's periods, so that each has one from every task, however late a timer is. */
const PHASE_MS = PERIOD_MS / 2;

/** Reports that are made every minute until stopped. */
export interface CloudWatchReports {
  /** Makes the last report. */
  stop(): Promise<void>;
}

/** Starts to report; a report that fails is logged and its numbers are part of the next. */
export function startCloudWatchReports(settings: EmfSettings, log: Logger): CloudWatchReports {
  const reporter = new EmfReporter(settings);
  const report = () =>
    reporter.report(Date.now()).catch((error: unknown) => {
      log.warn({ reason: messageOf(error) }, 'metrics were not reported to CloudWatch');
    });
  let timer: NodeJS.Timeout;
  const schedule = () => {
    const sinceLast = (Date.now() + PERIOD_MS - PHASE_MS) % PERIOD_MS;
    timer = setTimeout(() => {
      void report();
      schedule();
    }, PERIOD_MS - sinceLast).unref();
  };
  schedule();
  return {
    stop: () => {
      clearTimeout(timer);
      return report();
    },
  };
}
