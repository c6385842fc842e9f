import { elementsAgree } from '../../../lib/core/golden';
import type { RunnableSession } from './execution/types';
import { concatenate, elementsOf, splitRows, type Tensor } from './tensors';
import { syntheticTensor } from './trial-inputs';
import { trialRun } from './trial-runs';

/** Rows of the probe: enough that a mixture of rows shows, whichever of them it favours. */
const PROBE_ROWS = 5;
/** Rows of the probe that are taken from given inputs; the others are sure to differ from them. */
const GIVEN_ROWS = 3;
/** Kernels choose their order of summation by the size of a batch; agreement is relative to that. */
const PROBE_TOLERANCE = 1e-3;
/** Batch sizes at which a model is warmed up: each shape makes ONNX Runtime plan its memory anew. */
const WARM_ROWS: readonly number[] = [2, 8, 32];

/**
 * Whether rows may be run together: axis 0 is dynamic in every input and output, and a trial in which different rows
 * give alone what they give together, within 1e-3 or the model's own tolerance where that is larger. Many exported
 * models declare a dynamic axis and mix its rows all the same. Leaves the model warm for batches.
 */
export async function canRunRowsTogether(
  session: RunnableSession,
  inputs: readonly (readonly Tensor[])[],
  tolerance: number,
): Promise<boolean> {
  if (![...session.inputs, ...session.outputs].every((spec) => spec.shape[0] === -1)) return false;
  const ran = await rowsThatRun(session, inputs);
  const distinct = new Set(ran.map(({ row }) => row.map(({ data }) => data.join()).join('|')));
  if (distinct.size < 2) return false;
  try {
    // In two orders and sizes: what depends on a row's place or on the number of rows shows in one of them.
    for (const order of [ran, [...ran].reverse().slice(1)]) {
      const together = await runTogether(
        session,
        order.map(({ row }) => row),
      );
      const agree = order.every(({ outputs }, i) =>
        sameRow(outputs, together, i, Math.max(tolerance, PROBE_TOLERANCE)),
      );
      if (!agree) return false;
    }
    for (const count of WARM_ROWS) {
      await runTogether(
        session,
        Array.from({ length: count }, (_, i) => ran[i % ran.length]?.row ?? []),
      );
    }
    return true;
  } catch {
    return false;
  }
}

/** Rows of the inputs that are known to run, then others of their shape; only what runs alone can be compared. */
async function rowsThatRun(
  session: RunnableSession,
  inputs: readonly (readonly Tensor[])[],
): Promise<{ row: Tensor[]; outputs: Tensor[] }[]> {
  const given = inputs.flatMap(rowsOf).slice(0, GIVEN_ROWS);
  const shapes = given[0]?.map(({ shape }) => shape);
  if (shapes === undefined) return [];
  const alike = given.filter((row) => row.every(({ shape }, i) => `${shape}` === `${shapes[i]}`));
  const others = Array.from({ length: PROBE_ROWS }, (_, n) =>
    session.inputs.map((spec, i) => syntheticTensor(spec, shapes[i] ?? [], PROBE_ROWS - n)),
  );
  const ran: { row: Tensor[]; outputs: Tensor[] }[] = [];
  for (const row of [...alike, ...others]) {
    if (ran.length === PROBE_ROWS) break;
    const outputs = await trialRun(session, row).then(
      (result) => result.outputs,
      () => undefined,
    );
    if (outputs !== undefined) ran.push({ row, outputs });
  }
  return ran;
}

/** The single rows of a request; none where its inputs disagree on their number. */
function rowsOf(inputs: readonly Tensor[]): Tensor[][] {
  const count = inputs[0]?.shape[0] ?? 0;
  if (inputs.some(({ shape }) => shape[0] !== count)) return [];
  const columns = inputs.map(splitRows);
  return Array.from({ length: count }, (_, row) => columns.flatMap((column) => column.slice(row, row + 1)));
}

async function runTogether(session: RunnableSession, rows: readonly (readonly Tensor[])[]): Promise<Tensor[]> {
  const inputs = session.inputs.map((_, i) => {
    const [first, ...others] = rows.flatMap((row) => row.slice(i, i + 1));
    if (first === undefined) throw new Error('a batch needs rows');
    return concatenate([first, ...others]);
  });
  return (await trialRun(session, inputs)).outputs;
}

function sameRow(alone: readonly Tensor[], together: readonly Tensor[], row: number, tolerance: number): boolean {
  return alone.every((output, i) => {
    const other = together[i] === undefined ? undefined : splitRows(together[i])[row];
    if (other === undefined || `${output.shape}` !== `${other.shape}`) return false;
    const others = elementsOf(other);
    return Array.from<string | number | bigint>(elementsOf(output)).every((value, at) =>
      elementsAgree(value, others[at], tolerance),
    );
  });
}
