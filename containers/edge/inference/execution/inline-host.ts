import { messageOf, ServiceError } from '../../errors';
import { loadOnnxModel, type OnnxModel } from '../onnx-session';
import type { Tensor } from '../tensors';
import { verifiedModel } from './model-bytes';
import { closingError, modelLabel, passedDeadlineError } from './run-errors';
import type { ModelFile, RunnableSession, RunOptions, RunResult, SessionHost } from './types';

/** Runs models on the thread that opens them: nothing else happens on it while one runs or is loaded. */
export class InlineHost implements SessionHost {
  readonly #sessions = new Set<InlineSession>();
  #closed = false;

  async open(file: ModelFile): Promise<RunnableSession> {
    const model = await loadOnnxModel(await verifiedModel(file));
    const session = new InlineSession(modelLabel(file), model, this, () => this.#sessions.delete(session));
    if (this.#closed) {
      await session.release();
      throw closingError();
    }
    this.#sessions.add(session);
    return session;
  }

  /** Runs under way end first: they are short, or they would not be here. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#sessions].map((session) => session.release()));
  }
}

class InlineSession implements RunnableSession {
  readonly slots = 1;
  readonly #label: string;
  readonly #model: OnnxModel;
  readonly #onRelease: () => void;
  readonly #idle: (() => void)[] = [];
  #running = 0;
  #released: Promise<void> | undefined;

  constructor(
    label: string,
    model: OnnxModel,
    readonly pool: object,
    onRelease: () => void,
  ) {
    this.#label = label;
    this.#model = model;
    this.#onRelease = onRelease;
  }

  get inputs() {
    return this.#model.inputs;
  }

  get outputs() {
    return this.#model.outputs;
  }

  async run(inputs: readonly Tensor[], options: RunOptions = {}): Promise<RunResult> {
    if (this.#released !== undefined) throw new Error(`${this.#label} has been released`);
    options.signal?.throwIfAborted();
    if (options.deadline !== undefined && options.deadline <= performance.now()) throw passedDeadlineError(this.#label);
    this.#running += 1;
    try {
      return await this.#model.run(inputs);
    } catch (error) {
      throw new ServiceError('inference_failed', `${this.#label}: ${messageOf(error)}`, { cause: error });
    } finally {
      this.#running -= 1;
      if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  release(): Promise<void> {
    this.#released ??= this.#releaseWhenIdle();
    return this.#released;
  }

  async #releaseWhenIdle(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#onRelease();
    await this.#model.release();
  }
}
