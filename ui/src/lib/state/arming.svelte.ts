import { SvelteMap } from 'svelte/reactivity';

/** How long a card does not listen after it appeared or moved. */
export const ARMING_MS = 600;

/**
 * Keeps a key that was meant for something else from answering a question.
 *
 * A question listens to keys only after it has stood still for 600 ms: counted from when it
 * appeared, and again from when another one above it went away and it moved up. The pointer is
 * held off only after such a move, when a second click would hit the next question.
 */
export class Arming {
  #since = new SvelteMap<string, { moved: boolean; armed: boolean }>();
  #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #order: string[] = [];

  /** Tells which questions stand there now, in order. */
  show(ids: readonly string[]): void {
    const gone = this.#order.findIndex((id) => !ids.includes(id));
    const moved = gone < 0 ? [] : this.#order.slice(gone + 1);
    for (const id of this.#order) if (!ids.includes(id)) this.#forget(id);
    for (const id of ids) {
      if (moved.includes(id)) this.#restart(id, true);
      else if (!this.#since.has(id)) this.#restart(id, false);
    }
    this.#order = [...ids];
  }

  /** Whether a key may answer. */
  keys(id: string): boolean {
    return this.#since.get(id)?.armed ?? false;
  }

  /** Whether a click may answer. */
  pointer(id: string): boolean {
    const since = this.#since.get(id);
    return since !== undefined && (since.armed || !since.moved);
  }

  /** Stops all timers. */
  stop(): void {
    for (const id of [...this.#timers.keys()]) this.#forget(id);
    this.#order = [];
  }

  #restart(id: string, moved: boolean): void {
    clearTimeout(this.#timers.get(id));
    this.#since.set(id, { moved, armed: false });
    this.#timers.set(id, setTimeout(() => this.#since.set(id, { moved, armed: true }), ARMING_MS));
  }

  #forget(id: string): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.#since.delete(id);
  }
}
