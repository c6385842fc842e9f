import type { InvalidateMessage } from '../../../lib/core/control-message';
import type { Position } from '../cache/types';
import type { MessageKeeper } from './types';

interface Outgoing {
  readonly message: InvalidateMessage;
  readonly onApplied: () => void;
  /** Where the log has it, as far as this connection knows. */
  standsAt: Position | 'unknown' | 'being appended';
}

/**
 * Messages of this task's own on their way into the control log and back. A message leaves only when the log has brought
 * it back, or has moved past it; until then every new connection appends it again, which does nothing where it stands
 * already. So no loss of a connection, a reply or a log loses it, nor the end of the process where a keeper outlives it.
 */
export class Outbox {
  readonly #outgoing = new Map<string, Outgoing>();
  readonly #keeper: MessageKeeper | undefined;
  #whenAppended: (() => void)[] = [];

  constructor(keeper?: MessageKeeper) {
    this.#keeper = keeper;
  }

  add(message: InvalidateMessage, onApplied: () => void): void {
    this.#keeper?.remember(message);
    this.#outgoing.set(message.id, { message, onApplied, standsAt: 'unknown' });
  }

  /** The log has brought a message. */
  applied(id: string): void {
    const outgoing = this.#outgoing.get(id);
    if (!outgoing) return;
    this.#outgoing.delete(id);
    this.#keeper?.forget(id);
    outgoing.onApplied();
    this.#tellAppended();
  }

  /** Nothing that an earlier connection was told about the log holds any more. */
  startAgain(): void {
    for (const outgoing of this.#outgoing.values()) outgoing.standsAt = 'unknown';
  }

  /**
   * Hands every message to `append` that is not known to stand in the log. Rejects when `append` does; the message then
   * stays here.
   */
  async send(append: (message: InvalidateMessage) => Promise<Position>): Promise<void> {
    const waiting = [...this.#outgoing.values()].filter(({ standsAt }) => standsAt === 'unknown');
    // All are on their way before the first reply: one round trip, in order.
    await Promise.all(
      waiting.map(async (outgoing) => {
        outgoing.standsAt = 'being appended';
        outgoing.standsAt = await append(outgoing.message);
      }),
    );
    this.#tellAppended();
  }

  /** Resolves once every message is known to stand in the log. */
  appended(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenAppended.push(resolve);
      this.#tellAppended();
    });
  }

  /**
   * The log has been applied up to `position`: what stands at or before it is done, even where it was trimmed before it
   * came back; what stood in another log has to be appended to this one.
   */
  reached({ epoch, seq }: Position): void {
    for (const [id, outgoing] of this.#outgoing) {
      const { standsAt } = outgoing;
      if (typeof standsAt === 'string') continue;
      if (standsAt.epoch !== epoch) outgoing.standsAt = 'unknown';
      else if (standsAt.seq <= seq) this.applied(id);
    }
  }

  /** Whether a message waits to be appended. */
  hasUnsent(): boolean {
    for (const { standsAt } of this.#outgoing.values()) if (standsAt === 'unknown') return true;
    return false;
  }

  #tellAppended(): void {
    for (const { standsAt } of this.#outgoing.values()) if (typeof standsAt === 'string') return;
    const waiting = this.#whenAppended;
    this.#whenAppended = [];
    for (const resume of waiting) resume();
  }
}
