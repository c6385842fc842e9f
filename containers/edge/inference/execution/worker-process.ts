import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { messageOf } from '../../errors';
import { RefusedModel } from '../refused-model';
import type { Tensor } from '../tensors';
import { DONE_BYTES, encodeFrame, type Frame, FrameKind, FrameReader, REPEAT_BYTES } from './frames';
import { decodeTensors, encodeTensors } from './tensor-codec';
import type { Repetition, RunResult } from './types';
import { WORKER_DESCRIPTOR, type WorkerCommand, workerEnvironment } from './worker-command';
import type { Failure, OpenRequest, Signature } from './worker-loop';

/** A worker ended, or was ended, with a request under way. */
export class WorkerDeath extends Error {
  constructor(
    /** The signal's name, `exit N`, or `not started`. */
    readonly how: string,
    /** Why the service killed it; `undefined` when it died by itself. */
    readonly killedBecause: string | undefined,
    description = describeDeath(how),
    /** Whether the worker was gone before the whole request had been handed to it: it has not begun to work on it. */
    readonly isBeforeCall = false,
  ) {
    super(killedBecause ?? description);
    this.name = 'WorkerDeath';
  }
}

/** The model threw; the worker is well. */
export class ModelFailure extends Error {}

interface Call {
  /** Whether the kernel has taken all of the request: from a process that is gone it would not. */
  isSent: boolean;
  /** Whether the worker ended with bytes unread, and those may be of nothing but the request. */
  isUnread: boolean;
  /** Whether something was sent behind the request. */
  isFollowed: boolean;
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: Error) => void;
}

/** One worker process. It does one thing at a time: a call must have ended before the next is made. */
export class WorkerProcess {
  /** Resolves once the worker can take calls; rejects with `WorkerDeath` when it does not come to that. */
  readonly ready: Promise<void>;
  /** Resolves when the process is gone. */
  readonly ended: Promise<WorkerDeath>;
  readonly #child: ChildProcess;
  readonly #socket: Socket | undefined;
  readonly #loaded = new Map<number, Signature>();
  #call: Call | undefined;
  #isReady = false;
  #death: WorkerDeath | undefined;
  #killedBecause: string | undefined;

  constructor({ program, args }: WorkerCommand) {
    this.#child = spawn(program, [...args, String(process.pid)], {
      // The worker says little, and what it says belongs to the service's own log.
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
      env: workerEnvironment(process.env),
    });
    this.#socket = this.#child.stdio[WORKER_DESCRIPTOR] as Socket | undefined;
    const reader = new FrameReader((frame) => this.#answered(frame));
    this.#socket?.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        this.kill(messageOf(error));
      }
    });
    // Whatever fails here ends in the death of the process, which is what is reported.
    this.#socket?.on('error', ({ code }: NodeJS.ErrnoException) => {
      // Linux says so of a socket pair whose other end was closed with bytes unread.
      if (code === 'ECONNRESET' && this.#call?.isFollowed === false) this.#call.isUnread = true;
      this.kill(this.#killedBecause);
    });
    this.ended = this.#watchEnd();
    this.ready = this.#expectAnswer().then(() => {
      this.#isReady = true;
    });
    // It need not be anybody's business: `ended` tells the same.
    this.ready.catch(() => undefined);
  }

  /** Process id; `undefined` when the process could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Whether it can take calls, as far as is known here: the death of a process is noticed a moment after it. */
  get alive(): boolean {
    return this.#isReady && this.#death === undefined && this.#socket?.readable === true;
  }

  /** Whether a model is loaded here, by the number of its session. */
  has(session: number): boolean {
    return this.#loaded.has(session);
  }

  /**
   * Loads a model. Rejects with `RefusedModel` when the file is not a model that can be served, `ModelFailure` when it
   * could not be loaded for another reason, `WorkerDeath`.
   */
  async open(session: number, { path, sha256, externalData = [] }: OpenRequest): Promise<Signature> {
    const request: OpenRequest = { path, sha256, externalData };
    const { payload } = await this.#ask(FrameKind.open, session, [Buffer.from(JSON.stringify(request))]);
    const signature = JSON.parse(payload.toString()) as Signature;
    this.#loaded.set(session, signature);
    return signature;
  }

  /** Runs a loaded model. Rejects with `ModelFailure` or `WorkerDeath`. */
  async run(session: number, inputs: readonly Tensor[], repeat?: Repetition): Promise<RunResult> {
    const asked = performance.now();
    const { payload } = await (repeat === undefined
      ? this.#ask(FrameKind.run, session, encodeTensors(inputs))
      : this.#ask(FrameKind.repeat, session, [repetitionBytes(repeat), ...encodeTensors(inputs)]));
    const answered = performance.now();
    const [computeMs, cpuMs, outputMs, count] = doublesAt(payload, 0, 4) as [number, number, number, number];
    const outputs = decodeTensors(payload, DONE_BYTES + 8 * count);
    return {
      ...(repeat === undefined ? {} : { eachMs: doublesAt(payload, DONE_BYTES, count) }),
      outputs,
      computeMs,
      cpuMs,
      inputMs: Math.max(0, answered - asked - computeMs - outputMs),
      outputMs: outputMs + performance.now() - answered,
    };
  }

  /** Frees a model, after the call under way. */
  release(session: number): void {
    if (!this.#loaded.delete(session)) return;
    if (this.#call !== undefined) this.#call.isFollowed = true;
    this.#write(encodeFrame(FrameKind.release, session, []));
  }

  /** Ends the process at once (SIGKILL): a model that runs cannot be asked. `because` becomes the message of the death. */
  kill(because?: string): void {
    this.#killedBecause ??= because;
    this.#child.kill('SIGKILL');
  }

  #ask(kind: FrameKind, session: number, payload: readonly Uint8Array[]): Promise<Frame> {
    const answer = this.#expectAnswer();
    const call = this.#call;
    this.#write(encodeFrame(kind, session, payload), (error) => {
      if (call !== undefined && !error) call.isSent = true;
    });
    return answer;
  }

  #expectAnswer(): Promise<Frame> {
    return new Promise((resolve, reject) => {
      if (this.#call !== undefined) throw new Error('a worker was asked while it was busy');
      if (this.#death === undefined)
        this.#call = { isSent: false, isUnread: false, isFollowed: false, resolve, reject };
      else reject(beforeCall(this.#death));
    });
  }

  #answered(frame: Frame): void {
    const call = this.#call;
    this.#call = undefined;
    if (frame.kind !== FrameKind.failed) {
      call?.resolve(frame);
      return;
    }
    const { message, refused } = JSON.parse(frame.payload.toString()) as Failure;
    call?.reject(refused ? new RefusedModel(message) : new ModelFailure(message));
  }

  #write(pieces: readonly Uint8Array[], onWritten: (error?: Error | null) => void = () => undefined): void {
    const socket = this.#socket;
    if (socket === undefined || !socket.writable) return;
    socket.cork();
    const last = pieces.length - 1;
    for (const [i, piece] of pieces.entries()) {
      if (i === last) socket.write(piece, onWritten);
      else socket.write(piece);
    }
    socket.uncork();
  }

  #watchEnd(): Promise<WorkerDeath> {
    return new Promise((resolve) => {
      const end = (how: string, description?: string) => {
        this.#death ??= new WorkerDeath(how, this.#killedBecause, description);
        this.#socket?.destroy();
        const call = this.#call;
        call?.reject(call.isSent && !call.isUnread ? this.#death : beforeCall(this.#death));
        this.#call = undefined;
        resolve(this.#death);
      };
      // Not `exit`: what the worker answered before it died is still to be read then.
      this.#child.once('close', (code, signal) => end(signal ?? `exit ${code}`));
      this.#child.on('error', (error) => {
        if (this.#child.pid === undefined) end('not started', `its worker could not be started: ${error.message}`);
      });
    });
  }
}

function repetitionBytes({ runs, limitMs }: Repetition): Buffer {
  const bytes = Buffer.alloc(REPEAT_BYTES);
  bytes.writeDoubleLE(limitMs, bytes.writeDoubleLE(runs, 0));
  return bytes;
}

function doublesAt(bytes: Buffer, start: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => bytes.readDoubleLE(start + 8 * i));
}

function beforeCall({ how, killedBecause, message }: WorkerDeath): WorkerDeath {
  return new WorkerDeath(how, killedBecause, message, true);
}

function describeDeath(how: string): string {
  if (how === 'SIGKILL') return 'its worker was killed (SIGKILL), as the kernel does when memory runs out';
  if (how.startsWith('SIG')) return `its worker crashed (${how})`;
  return `its worker ended (${how})`;
}
