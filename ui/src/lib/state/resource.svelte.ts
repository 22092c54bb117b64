import { asProblem } from '../host/host';
import type { Problem } from '../host/generated/types';

/**
 * Something the window shows and asks the desk for again when it may have changed.
 *
 * However many changes arrive, one question is under way at a time and at most one more waits;
 * the last answer always comes from after the last change.
 */
export class Resource<T> {
  value = $state.raw<T | undefined>(undefined);
  problem = $state.raw<Problem | undefined>(undefined);
  loading = $state(false);

  #ask: () => Promise<T>;
  #running: Promise<void> | undefined;
  #again = false;

  constructor(ask: () => Promise<T>) {
    this.#ask = ask;
  }

  /** Asks again; resolves when the answer that counts is there. */
  reload(): Promise<void> {
    if (this.#running !== undefined) {
      this.#again = true;
      return this.#running;
    }
    this.loading = true;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      this.loading = false;
    });
    return this.#running;
  }

  /** Takes an answer that came another way, such as from a command. */
  put(value: T): void {
    this.value = value;
    this.problem = undefined;
  }

  async #run(): Promise<void> {
    do {
      this.#again = false;
      try {
        const value = await this.#ask();
        // An answer that is already known to be old is not shown.
        if (!this.#again) this.put(value);
      } catch (thrown) {
        if (!this.#again) this.problem = asProblem(thrown);
      }
    } while (this.#again);
  }
}
