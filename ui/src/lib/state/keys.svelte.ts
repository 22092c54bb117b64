import { onMount } from 'svelte';

/** One key and what it does; `key` as the browser names it, "j", "?", "Escape". */
export interface Binding {
  key: string;
  /** What it does, for the list of keys; a binding without words is not listed. */
  says?: string;
  /** With Ctrl, or Command on a Mac. */
  mod?: boolean;
  run: (event: KeyboardEvent) => void;
}

/** How long after `g` the second letter counts. */
const CHORD_MS = 1200;

class Keys {
  layers = $state.raw<readonly (() => Binding[])[]>([]);
  #chordUntil = 0;

  constructor() {
    window.addEventListener('keydown', (event) => {
      this.#press(event);
    });
  }

  add(layer: () => Binding[]): () => void {
    this.layers = [...this.layers, layer];
    return () => {
      this.layers = this.layers.filter((other) => other !== layer);
    };
  }

  /** Everything that a key does here and now. */
  listed(): Binding[] {
    const seen = new Set<string>();
    return [...this.layers].reverse().flatMap((layer) => layer()).filter((binding) => {
      const name = `${binding.mod === true ? 'mod+' : ''}${binding.key}`;
      if (binding.says === undefined || seen.has(name)) return false;
      seen.add(name);
      return true;
    });
  }

  #press(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.isComposing || event.repeat) return;
    const mod = event.ctrlKey || event.metaKey;
    if (event.altKey) return;
    // Letters typed into a field are text, and an open dialog has the keyboard to itself.
    if (document.querySelector('dialog[open]') !== null) return;
    if (!mod && isWriting(event.target)) return;
    // Enter on a button or a link is that button's or link's own.
    if (event.key === 'Enter' && event.target instanceof Element && event.target.closest('button, a') !== null) return;
    const name = this.#chord(event, mod);
    if (name === null) return;
    for (const layer of [...this.layers].reverse()) {
      const binding = layer().find((b) => b.key === name && (b.mod ?? false) === mod);
      if (binding) {
        event.preventDefault();
        binding.run(event);
        return;
      }
    }
  }

  /** Turns `g` and a letter into "g d"; null while the letter is awaited. */
  #chord(event: KeyboardEvent, mod: boolean): string | null {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (mod) return key;
    if (Date.now() < this.#chordUntil) {
      this.#chordUntil = 0;
      return `g ${key}`;
    }
    if (key === 'g') {
      this.#chordUntil = Date.now() + CHORD_MS;
      return null;
    }
    return key;
  }
}

/** Whether keys go into a field. */
export function isWriting(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.closest('input:not([type=radio], [type=checkbox]), textarea, select') !== null;
}

export const keys = new Keys();

/** Keys that work while a component is there; later ones come first. */
export function useKeys(layer: () => Binding[]): void {
  onMount(() => keys.add(layer));
}
