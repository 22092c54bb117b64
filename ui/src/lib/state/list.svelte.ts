import { t } from '../messages';
import type { Binding } from './keys.svelte';

/** Which item of a list J and K stand on. Follows the item, not its position. */
export class Selection {
  id = $state<string | null>(null);
  #ids: () => readonly string[];

  constructor(ids: () => readonly string[]) {
    this.#ids = ids;
  }

  /** The selected item if it is still there. */
  get current(): string | null {
    return this.id !== null && this.#ids().includes(this.id) ? this.id : null;
  }

  /** Goes on or back by one, and shows where it is. */
  step(by: 1 | -1): void {
    const ids = this.#ids();
    if (ids.length === 0) return;
    const at = this.current === null ? -1 : ids.indexOf(this.current);
    const next = at < 0 ? (by === 1 ? 0 : ids.length - 1) : Math.min(ids.length - 1, Math.max(0, at + by));
    this.id = ids[next] ?? null;
    queueMicrotask(() => {
      const shown = this.id === null ? null : document.querySelector(`[data-select-id="${CSS.escape(this.id)}"]`);
      shown?.scrollIntoView({ block: 'nearest' });
    });
  }
}

/** The keys of a list whose items do not open: J and K move. */
export function stepKeys(selection: Selection): Binding[] {
  return [
    { key: 'j', says: t.keys.next, run: () => selection.step(1) },
    { key: 'k', says: t.keys.previous, run: () => selection.step(-1) },
  ];
}

/** The keys of every list: J and K move, O and Enter open. */
export function listKeys(selection: Selection, open: (id: string | null) => void): Binding[] {
  const run = (): void => {
    open(selection.current);
  };
  return [
    ...stepKeys(selection),
    { key: 'o', says: t.keys.open, run },
    { key: 'Enter', run },
  ];
}
