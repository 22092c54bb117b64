import { createContext, onMount } from 'svelte';
import type { Commands } from '../host/generated/commands';
import type { BackupMade, Changed, DeskStatus, NewCredential, Problem } from '../host/generated/types';
import { asProblem, type CommandName, type Host } from '../host/host';
import { wording } from '../messages';
import { Resource } from './resource.svelte';

/** What a change can be about. */
export type Topic = 'status' | 'overview' | 'agents' | 'activity';

/** A line that says what an act came to, until it is put away. */
export interface Note {
  id: number;
  tone: 'done' | 'wrong';
  text: string;
  detail?: string;
}

/** How far a newcomer has come; absent for everybody else. */
export type Journey =
  | { step: 'passphrase' }
  | { step: 'words' | 'confirm'; words: string[]; keychain: string | null }
  | { step: 'practice' }
  | { step: 'agent' }
  | { step: 'connect'; credential: NewCredential };

/** How long a good message stays; a problem stays until it is put away. */
const NOTE_MS = 8000;
/** How often the desk is told, at most, that somebody touches the window. */
const TOUCH_MS = 20_000;
const TOUCHES = ['pointerdown', 'pointermove', 'keydown', 'wheel'] as const;
/** What the desk says to an act that raises something while the owner has not just been there. */
export const PRESENCE_NEEDED = 'presence_needed';

/** The desk behind this window: its status, its changes, and what the window says about them. */
export class Desk {
  readonly host: Host;
  readonly status: Resource<DeskStatus>;
  notes = $state.raw<Note[]>([]);
  journey = $state.raw<Journey | undefined>(undefined);
  now = $state(Date.now());
  /** When the vault locks itself, by this window's clock. */
  locksAt = $state<number | undefined>(undefined);
  /** Until when raising acts go through without the passphrase, by this window's clock. */
  trustedUntil = $state<number | undefined>(undefined);
  /** Whether the owner is being asked for the passphrase. */
  asking = $state(false);

  #listeners = new Set<{ topics: readonly Topic[]; heard: () => void }>();
  #nextNote = 1;
  #touched = 0;
  #answers: ((given: boolean) => void)[] = [];

  constructor(host: Host) {
    this.host = {
      ...host,
      call: (name, args) => this.#call(host, name, args),
      saveBackup: (passphrase) => this.#saveBackup(host, passphrase),
    };
    this.status = new Resource(async () => {
      const status = await host.call('status', {});
      this.locksAt = status.locks_in_s === null ? undefined : Date.now() + status.locks_in_s * 1000;
      this.trustedUntil = status.presence_left_s === null ? undefined : Date.now() + status.presence_left_s * 1000;
      return status;
    });
  }

  /** Asks once for the passphrase when the desk wants to know that the owner is here, and goes on. */
  #call<N extends CommandName>(host: Host, name: N, args: Commands[N]['args']): Promise<Commands[N]['answer']> {
    return name === 'confirm' ? host.call(name, args) : this.#present(() => host.call(name, args));
  }

  async #present<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (thrown) {
      if (asProblem(thrown).code !== PRESENCE_NEEDED || !(await this.askPresence())) throw thrown;
      return await act();
    }
  }

  /** Asks for the owner first: whoever has chosen a file should not have to choose it again. */
  async #saveBackup(host: Host, passphrase: string): Promise<BackupMade | null> {
    const isHere = this.trustedUntil !== undefined && this.trustedUntil > Date.now();
    if (!isHere && !(await this.askPresence())) return null;
    return this.#present(() => host.saveBackup(passphrase));
  }

  /** Opens the dialog that asks for the passphrase; several acts share one. */
  askPresence(): Promise<boolean> {
    this.asking = true;
    return new Promise((resolve) => this.#answers.push(resolve));
  }

  /** The dialog is done: the owner was there, or put it away. */
  answerPresence(given: boolean): void {
    this.asking = false;
    for (const resolve of this.#answers.splice(0)) resolve(given);
  }

  /** Somebody moved or typed; the window stays open that much longer. */
  #touch = (): void => {
    const now = Date.now();
    const { value } = this.status;
    if (now - this.#touched < TOUCH_MS || value?.stage !== 'open' || value.window_locked) return;
    this.#touched = now;
    // Without it the window only locks earlier.
    this.host.call('here', {}).catch(() => undefined);
  };

  /** Starts listening and ticking; the answer stops both. */
  start(): () => void {
    const unlisten = this.host.onChanged((changed) => {
      this.#changed(changed);
    });
    const unhear = this.listen(['status'], () => void this.status.reload());
    const tick = setInterval(() => {
      this.now = Date.now();
    }, 1000);
    // The lock has its own clock; asking now and then keeps the two in step.
    const ask = setInterval(() => void this.status.reload(), 30_000);
    const focus = (): void => {
      this.now = Date.now();
      void this.status.reload();
    };
    window.addEventListener('focus', focus);
    for (const kind of TOUCHES) window.addEventListener(kind, this.#touch, { passive: true });
    void this.status.reload();
    return () => {
      unlisten();
      unhear();
      clearInterval(tick);
      clearInterval(ask);
      window.removeEventListener('focus', focus);
      for (const kind of TOUCHES) window.removeEventListener(kind, this.#touch);
    };
  }

  /** Is told when one of these topics changed. */
  listen(topics: readonly Topic[], heard: () => void): () => void {
    const listener = { topics, heard };
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls a command; a problem becomes a note and the answer undefined. */
  async act<N extends CommandName>(name: N, args: Commands[N]['args']): Promise<Commands[N]['answer'] | undefined> {
    try {
      return await this.host.call(name, args);
    } catch (thrown) {
      const problem = asProblem(thrown);
      // Whoever put the dialog away knows that nothing happened.
      if (problem.code !== PRESENCE_NEEDED) this.wrong(problem);
      return undefined;
    }
  }

  done(text: string, detail?: string): void {
    const id = this.#note({ tone: 'done', text, ...(detail === undefined ? {} : { detail }) });
    setTimeout(() => {
      this.dismiss(id);
    }, NOTE_MS);
  }

  wrong(problem: Problem): void {
    const { says, todo } = wording(problem);
    this.#note({ tone: 'wrong', text: says, detail: todo });
  }

  dismiss(id: number): void {
    this.notes = this.notes.filter((note) => note.id !== id);
  }

  #note(note: Omit<Note, 'id'>): number {
    const id = this.#nextNote++;
    // The same words twice would only push other notes away.
    const others = this.notes.filter((old) => old.text !== note.text || old.detail !== note.detail);
    this.notes = [...others.slice(-2), { ...note, id }];
    return id;
  }

  #changed(changed: Changed): void {
    for (const listener of [...this.#listeners]) {
      if (listener.topics.some((topic) => changed.topics.includes(topic))) listener.heard();
    }
  }
}


const [useDesk, provideDesk] = createContext<Desk>();
export { provideDesk, useDesk };

/** A resource that lives as long as its component and is asked again when a topic changes. */
export function useResource<T>(topics: readonly Topic[], ask: (desk: Desk) => Promise<T>): Resource<T> {
  const desk = useDesk();
  const resource = new Resource(() => ask(desk));
  onMount(() => {
    void resource.reload();
    return desk.listen(topics, () => void resource.reload());
  });
  return resource;
}
