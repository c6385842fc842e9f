import type { TensorSpec } from '../../../../lib/core/manifest';
import type { Tensor } from '../tensors';

/** How long a run is wanted, and by whom. */
export interface RunOptions {
  /** Moment on `performance.now()`'s clock, ms, after which nobody wants the answer. Absent: the host's own limit. */
  readonly deadline?: number;
  /** Aborted when the last one who waited has gone. */
  readonly signal?: AbortSignal;
  /** To run the model again with the same inputs, so as to measure it. A host that cannot runs it once. */
  readonly repeat?: Repetition;
}

/** How often a run is repeated where the model is, which costs whoever asks no more than one run. */
export interface Repetition {
  /** Runs at most. */
  readonly runs: number;
  /** Time after which no further one begins, ms. */
  readonly limitMs: number;
}

/** What one run gave. */
export interface RunResult {
  readonly outputs: Tensor[];
  /** Time inside ONNX Runtime, ms. */
  readonly computeMs: number;
  /** Time that handing it the inputs took, the way to another process and back included, ms. Absent: none. */
  readonly inputMs?: number;
  /** Time that taking its outputs took, ms. Absent: none. */
  readonly outputMs?: number;
  /** CPU time of the worker process meanwhile, ms. Absent on the service's own thread, which does other things as well. */
  readonly cpuMs?: number;
  /** Of each of repeated runs, ms: the time inside ONNX Runtime, or the CPU time of the process where that is less. */
  readonly eachMs?: readonly number[];
}

/** A model file that a session is opened from. The file stays where it is until the session is released. */
export interface ModelFile {
  readonly model: string;
  readonly version: string;
  readonly path: string;
  /** Lower-case hex SHA-256 of the file, checked again whenever a worker opens it anew. */
  readonly sha256: string;
  /** Files beside it in which it keeps tensors; a model that has any must be opened by its path. */
  readonly externalData?: readonly { readonly path: string; readonly sha256: string }[];
}

/** A model that can be run, with its signature. */
export interface RunnableSession {
  readonly inputs: readonly TensorSpec[];
  /** Tensor outputs, in the model's order; sequences and maps are left out. */
  readonly outputs: readonly TensorSpec[];
  /** Runs that make sense at once: 1 on the service's own thread, the number of workers elsewhere. */
  readonly slots: number;
  /** Sessions with the same pool share its slots, and are scheduled against one another. Absent: slots of its own. */
  readonly pool?: object;
  /**
   * Runs the model. Inputs must be complete and fit the signature: ONNX Runtime ignores unknown names silently.
   * Rejects with a ServiceError: `inference_failed` (500: the model threw, or its worker died), `deadline_exceeded`
   * (504), `model_not_ready` (503: quarantined, or the host is closing); with the signal's reason when it was aborted
   * before the run began.
   */
  run(inputs: readonly Tensor[], options?: RunOptions): Promise<RunResult>;
  /** Gets the model to wherever it may run, so that no run waits for that; until then it is where it was opened. */
  spread?(): void;
  /** Frees the model once the runs under way have ended. */
  release(): Promise<void>;
}

/** A place where models run. */
export interface SessionHost {
  /** Opens a model. Rejects with `RefusedModel` when the file is not a model that can be served. */
  open(file: ModelFile): Promise<RunnableSession>;
  /** Lets go of everything; runs under way are rejected. */
  close(): Promise<void>;
}

/**
 * The places where one process's models run. As a host itself it opens a model in the worker processes, after a trial in
 * one that nothing else depends on; `inline` opens one on the service's own thread, where a run costs no trip to another
 * process and holds up every request meanwhile: for models whose warm runs are known to be short.
 */
export interface ExecutionHost extends SessionHost {
  readonly inline: SessionHost;
  counts(): ExecutionCounts;
}

/** What became of the worker processes so far, and how they are now. */
export interface ExecutionCounts {
  /** Workers wanted, and those of them that can take runs. */
  readonly workers: { readonly wanted: number; readonly ready: number };
  /** Runs that wait for a worker. */
  readonly waiting: number;
  /** Workers that ended without being told to, by the signal's name or `exit N`. */
  readonly deaths: Readonly<Record<string, number>>;
  /** Workers killed because a run or a load took too long. */
  readonly kills: number;
  /** Workers started to replace one that ended. */
  readonly restarts: number;
  /** Runs answered with `deadline_exceeded`, by whose limit it was. */
  readonly timeouts: { readonly request: number; readonly host: number };
  /** Models kept away from the workers now, because they kept ending them: `name@version`. */
  readonly quarantined: readonly string[];
}
