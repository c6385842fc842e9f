import type { Tensor } from '../tensors';
import type { Quarantine } from './quarantine';
import { modelLabel } from './run-errors';
import type { ModelFile, RunnableSession, RunOptions, RunResult } from './types';
import type { Signature } from './worker-loop';

/** The host as a session sees it. */
export interface SessionOwner {
  run(session: WorkerSession, inputs: readonly Tensor[], options: RunOptions): Promise<RunResult>;
  /** Loads the model into every worker, each as soon as it has nothing to do. */
  spread(session: WorkerSession): void;
  /** Frees the model wherever it is loaded. */
  forget(session: WorkerSession): void;
}

/** A model that any worker of a host can run. */
export class WorkerSession implements RunnableSession {
  readonly label: string;
  readonly inputs: Signature['inputs'];
  readonly outputs: Signature['outputs'];
  readonly #idle: (() => void)[] = [];
  #underWay = 0;
  #released: Promise<void> | undefined;

  constructor(
    private readonly owner: SessionOwner,
    /** Names the session in frames; never used again. */
    readonly number: number,
    readonly file: ModelFile,
    { inputs, outputs }: Signature,
    readonly slots: number,
    readonly quarantine: Quarantine,
  ) {
    this.label = modelLabel(file);
    this.inputs = inputs;
    this.outputs = outputs;
  }

  /** All sessions of the host share its workers. */
  get pool(): object {
    return this.owner;
  }

  get isReleased(): boolean {
    return this.#released !== undefined;
  }

  async run(inputs: readonly Tensor[], options: RunOptions = {}): Promise<RunResult> {
    if (this.isReleased) throw new Error(`${this.label} has been released`);
    this.#underWay += 1;
    try {
      return await this.owner.run(this, inputs, options);
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  spread(): void {
    if (!this.isReleased) this.owner.spread(this);
  }

  release(): Promise<void> {
    this.#released ??= this.#releaseWhenIdle();
    return this.#released;
  }

  async #releaseWhenIdle(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.owner.forget(this);
  }
}
