import fc from 'fast-check';
import { demandOf } from '../../../../../containers/edge/inference/execution/demand';
import type { ModelQueue } from '../../../../../containers/edge/inference/execution/model-queue';
import { Scheduler } from '../../../../../containers/edge/inference/execution/scheduler';
import { FakeSession, queueFor, rowOf, VirtualClock } from './virtual-time';

const MAX_BATCH_ROWS = 6;
const MAX_QUEUED_REQUESTS = 8;
const MAX_QUEUED_ROWS = 30;

interface Request {
  readonly model: number;
  readonly afterMs: number;
  readonly rows: number;
  readonly width: number;
  readonly isBad: boolean;
  readonly deadlineMs: number | undefined;
  readonly hangsUpAfterMs: number | undefined;
  /** Whether its rows are independent of each other. */
  readonly inRows: boolean;
}

interface Model {
  readonly fixedMs: number;
  readonly rowMs: number;
  readonly batchable: boolean;
}

const aRequest: fc.Arbitrary<Request> = fc.record({
  model: fc.nat(2),
  afterMs: fc.constantFrom(0, 0, 0, 1, 5, 40),
  rows: fc.constantFrom(1, 1, 1, 2, 3, 9),
  width: fc.integer({ min: 1, max: 2 }),
  isBad: fc.constantFrom(false, false, false, false, true),
  deadlineMs: fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined }),
  hangsUpAfterMs: fc.option(fc.integer({ min: 0, max: 50 }), { nil: undefined, freq: 4 }),
  inRows: fc.boolean(),
});

const aModel: fc.Arbitrary<Model> = fc.record({
  // Runs of less than a millisecond are given to slots ahead.
  fixedMs: fc.constantFrom(1, 2, 20),
  rowMs: fc.constantFrom(0.1, 1, 10),
  batchable: fc.constantFrom(true, true, false),
});

/** A request's first element is its number, its rows' next ones count up from there; bad ones are negative. */
function idsOf(request: Request, index: number): number[] {
  return Array.from({ length: request.rows }, (_, row) => (1 + index * 16 + row) * (request.isBad ? -1 : 1));
}

function inputOf(ids: readonly number[], width: number) {
  return rowOf(
    ids.flatMap((id) => Array.from({ length: width }, (_, column) => (column === 0 ? id : 0.5))),
    ids.length,
  );
}

function firstOfRows({ data, shape }: { readonly data: ArrayLike<unknown>; readonly shape: readonly number[] }) {
  const [rows = 0, width = 0] = shape;
  expect(data).toHaveLength(rows * width);
  return Array.from({ length: rows }, (_, row) => data[row * width]);
}

it('every request is answered once, with its own rows or the error that is its own, within all bounds', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(aRequest, { minLength: 1, maxLength: 60 }),
      fc.tuple(aModel, aModel, aModel),
      fc.integer({ min: 1, max: 3 }),
      async (requests, models, slots) => {
        const clock = new VirtualClock();
        const scheduler = new Scheduler(clock);
        const pool = {};
        const sessions = models.map(
          ({ fixedMs, rowMs }) =>
            new FakeSession({
              clock,
              slots,
              pool,
              costMs: (rows) => fixedMs + rowMs * rows,
              fails: (ids) => ids.some((id) => id < 0),
            }),
        );
        const queues = models.map(({ batchable }, i) =>
          queueFor(
            sessions[i] as FakeSession,
            { maxBatchRows: MAX_BATCH_ROWS, maxQueuedRequests: MAX_QUEUED_REQUESTS, maxQueuedRows: MAX_QUEUED_ROWS },
            batchable,
          ),
        );
        const running = () => sessions.reduce((sum, session) => sum + session.running, 0);
        clock.onStill = () => {
          expect(running()).toBeLessThanOrEqual(slots);
          // No slot is idle while anybody waits.
          if (queues.some((queue) => !queue.isEmpty)) expect(running()).toBe(slots);
        };

        const settled = requests.map(() => 0);
        const ask = async (request: Request, index: number) => {
          const queue = queues[request.model] as ModelQueue;
          const client = new AbortController();
          const { hangsUpAfterMs, deadlineMs } = request;
          if (hangsUpAfterMs !== undefined) clock.after(hangsUpAfterMs, () => client.abort());
          const demand = demandOf({
            signal: client.signal,
            ...(deadlineMs === undefined ? {} : { deadline: clock.now() + deadlineMs }),
          });
          const ids = idsOf(request, index);
          const outcomes = request.inRows
            ? await scheduler
                .runRows(
                  queue,
                  ids.map((id) => [inputOf([id], request.width)]),
                  () => demand,
                )
                .catch((error: unknown) => [{ error }])
            : [
                await scheduler.run(queue, [inputOf(ids, request.width)], demand).then(
                  (outputs) => ({ outputs }),
                  (error: unknown) => ({ error }),
                ),
              ];
          settled[index] = (settled[index] ?? 0) + 1;
          const answered = outcomes.flatMap((outcome) => ('outputs' in outcome ? outcome.outputs : []));
          const errors = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome.error as { code: string }] : []));
          for (const { code } of errors) {
            if (code === 'inference_failed') expect(request.isBad).toBe(true);
            else if (code === 'deadline_exceeded') expect(deadlineMs).toBeDefined();
            else if (code === 'client_closed_request') expect(client.signal.aborted).toBe(true);
            else expect(code).toBe('overloaded');
          }
          if (errors.length === 0) {
            expect(answered.flatMap(firstOfRows)).toEqual(ids.map((id) => 2 * id));
            expect(answered.every(({ shape }) => shape[1] === request.width)).toBe(true);
          }
        };
        let at = 0;
        const asked = requests.map((request, index) => {
          at += request.afterMs;
          return new Promise<void>((resolve, reject) => {
            clock.after(at, () => ask(request, index).then(resolve, reject));
          });
        });
        await Promise.all([...asked, clock.run()]);

        expect(settled).toEqual(requests.map(() => 1));
        for (const [model, { runs }] of sessions.entries()) {
          for (const { ids } of runs) {
            const of = new Set(ids.map((id) => (Math.abs(id) - 1) >> 4));
            const widths = new Set([...of].map((index) => requests[index]?.width));
            expect(widths.size).toBe(1);
            if (of.size > 1) {
              expect(ids.length).toBeLessThanOrEqual(MAX_BATCH_ROWS);
              expect(models[model]?.batchable).toBe(true);
            }
          }
          // In the order asked, among those of one width; where a batch failed, its requests had their turn before.
          if (models[model]?.batchable === true && !requests.some((each) => each.isBad && each.model === model)) {
            for (const width of [1, 2]) {
              const order = runs.flatMap(({ ids }) => ids.filter((id) => requests[(id - 1) >> 4]?.width === width));
              expect(order).toEqual([...order].sort((a, b) => a - b));
            }
          }
        }
      },
    ),
    { numRuns: 150 },
  );
}, 120_000);

it('models that always have work get the same time of the slots, whatever one run of each takes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(10, 20, 50), { minLength: 2, maxLength: 4 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 0, max: 500 }),
      fc.double({ min: 0, max: 0.9, noNaN: true }),
      async (costs, slots, lastComesAt, spread) => {
        const clock = new VirtualClock();
        const scheduler = new Scheduler(clock);
        const pool = {};
        let draw = 1;
        const random = () => {
          draw = (draw * 48_271) % 2_147_483_647;
          return draw / 2_147_483_647;
        };
        const used = costs.map(() => 0);
        const costOf = (i: number) => (costs[i] ?? 0) * (1 + spread * (2 * random() - 1));
        const until = 2_500;
        const start = (i: number) => {
          let ms = 0;
          const session = new FakeSession({ clock, slots, pool, costMs: () => ms });
          const run = session.run.bind(session);
          session.run = async (inputs, options) => {
            ms = costOf(i);
            const own = ms;
            const result = await run(inputs, options);
            used[i] = (used[i] ?? 0) + own;
            return { ...result, computeMs: own };
          };
          const queue = queueFor(session, {}, false);
          const again = (): void => {
            if (clock.now() < until) void scheduler.run(queue, [rowOf([i])], demandOf(undefined)).then(again);
          };
          // More than there are slots, so that it always has work that waits.
          for (let n = 0; n < 2 * slots + 2; n += 1) again();
        };
        const last = costs.length - 1;
        for (let i = 0; i < last; i += 1) start(i);
        let before = used;
        clock.after(lastComesAt, () => {
          before = [...used];
          start(last);
        });
        const greatest = Math.max(...costs) * (1 + spread);
        const since = (i: number) => (used[i] ?? 0) - (before[i] ?? 0);
        clock.onStill = () => {
          if (clock.now() <= lastComesAt || clock.now() >= until) return;
          // The bound of SFQ(D) is (D + 1) runs of either. The runs under way add to it twice: their cost is known only
          // afterwards, and only then counted here.
          const bound = (3 * slots + 1) * 2 * greatest;
          for (let i = 0; i < costs.length; i += 1) {
            expect(Math.abs(since(i) - since(last))).toBeLessThanOrEqual(bound);
          }
        };
        await clock.run();
        // And the bound is far from what there was to share.
        for (let i = 0; i < costs.length; i += 1) {
          expect(since(i)).toBeGreaterThan(
            ((until - lastComesAt) * slots) / costs.length - (3 * slots + 1) * 2 * greatest,
          );
        }
      },
    ),
    { numRuns: 15 },
  );
}, 120_000);
