import type { AnswerReceiver, CacheAnswer } from './types';

/** The answers to one call for many keys, by their place among them, without a promise for every one. */
export class GatheredAnswers {
  readonly #answers: CacheAnswer[];
  #missing: number;
  #failure: { readonly reason: unknown } | undefined;
  #settle: () => void = () => undefined;

  constructor(count: number) {
    this.#answers = new Array(count);
    this.#missing = count;
  }

  put(place: number, answer: CacheAnswer): void {
    this.#answers[place] = answer;
    this.#missing -= 1;
    if (this.#missing === 0) this.#settle();
  }

  receiver(place: number): AnswerReceiver {
    return {
      answered: (answer) => this.put(place, answer),
      failed: (reason) => this.#fail(reason),
    };
  }

  /** Resolves once every answer is there; rejects as soon as one has failed, with its reason. To be called once. */
  all(): Promise<readonly CacheAnswer[]> {
    return new Promise((resolve, reject) => {
      this.#settle = () => {
        if (this.#failure !== undefined) reject(this.#failure.reason);
        else if (this.#missing === 0) resolve(this.#answers);
      };
      this.#settle();
    });
  }

  #fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#settle();
  }
}
