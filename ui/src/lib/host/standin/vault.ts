import type { Commands } from '../generated/commands';
import type { DeskStatus, Problem, WayView, Words } from '../generated/types';

/** How long a passphrase counts as a sign that the owner is here. */
const PRESENCE_MS = 120_000;
export const KEYCHAIN = 'Secret Service (GNOME)';
export const TREASURY = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
export const WORDS =
  'abandon brass candle dolphin ember falcon garden harvest island jacket kitten lantern marble nectar orchid pencil quantum ribbon saddle timber umbrella velvet walnut zebra';

const STRONG: WayView = { id: '5f1c0d2e7a3b4c6d8e9f0a1b2c3d4e5f', kind: 'strong', keychain: KEYCHAIN, here: true };
const EVERYDAY: WayView = { id: '0e1d2c3b4a5968778695a4b3c2d1e0f1', kind: 'everyday', keychain: KEYCHAIN, here: true };
const ALONE: WayView = { id: '7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a', kind: 'passphrase', keychain: null, here: true };
const PAPER: WayView = { id: '9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d', kind: 'words', keychain: null, here: true };

/** Every command, as the stand-in carries it out. */
export type Table = { [K in keyof Commands]: (args: Commands[K]['args']) => Commands[K]['answer'] | Promise<Commands[K]['answer']> };

type Own =
  | 'ways' | 'treasury' | 'here' | 'unlock_with_keychain' | 'confirm' | 'leave' | 'set_locks' | 'change_passphrase' | 'add_way' | 'remove_way'
  | 'move_to_keychain' | 'reveal_words' | 'export_key' | 'import_treasury' | 'watch_treasury' | 'own_treasury';

export function fail(code: string, message: string, recovery = ''): never {
  const problem: Problem = { code, message, recovery };
  throw problem;
}

/** The vault of the in-memory desk: no keys, but its ways in, its locks and the owner's presence. */
export class StandinVault {
  stage: 'new' | 'locked' | 'open' = 'new';
  passphrase = '';
  /** Until when raising acts go through without the passphrase. */
  presenceUntil = 0;
  windowLocked = false;
  ways: WayView[] = [];
  signingIdle: number | null = null;
  windowIdle: number | null = 15;
  withSession = true;
  /** What is said of a vault file that is an older copy. */
  note: string | null = null;
  openedAt = 0;
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Makes the vault or opens it, with this passphrase. */
  openWith(passphrase: string): void {
    if (this.ways.length === 0) this.ways = [STRONG, PAPER];
    this.passphrase = passphrase;
    this.#right(passphrase);
    this.#open();
  }

  unlock(passphrase: string): void {
    if (this.stage === 'new') fail('no_vault', 'there is no vault');
    this.#right(passphrase);
    this.#open();
  }

  recover(words: string, passphrase: string): void {
    if (words !== WORDS) fail('bad_input', 'these are not the recovery words of this vault');
    // The words need no keychain, and the passphrase alone opens it afterwards.
    this.ways = [ALONE, PAPER];
    this.note = null;
    this.openWith(passphrase);
  }

  lock(): void {
    this.stage = 'locked';
    this.presenceUntil = 0;
    this.#changed();
  }

  needOpen(): void {
    if (this.stage !== 'open') fail('locked', 'the vault is locked');
  }

  /** The owner gave the passphrase a moment ago. */
  needPresence(): void {
    this.needOpen();
    if (this.presenceUntil <= Date.now()) fail('presence_needed', 'this needs you, and your passphrase has not been given in the last two minutes');
  }

  status(): Pick<DeskStatus, 'stage' | 'locks_in_s' | 'signing_idle_min' | 'window_idle_min' | 'lock_with_session' | 'system_locks_note' | 'presence_left_s' | 'window_locked' | 'vault_note'> {
    const trusted = Math.ceil((this.presenceUntil - Date.now()) / 1000);
    const left = this.signingIdle === null ? null : Math.max(0, this.signingIdle * 60 - Math.floor((Date.now() - this.openedAt) / 1000));
    return {
      stage: this.stage,
      locks_in_s: this.stage === 'open' ? left : null,
      signing_idle_min: this.signingIdle,
      window_idle_min: this.windowIdle,
      lock_with_session: this.withSession,
      system_locks_note: null,
      presence_left_s: this.stage === 'open' && trusted > 0 ? trusted : null,
      window_locked: this.windowLocked,
      vault_note: this.note,
    };
  }

  /** The commands that are about the vault alone. */
  commands(status: () => DeskStatus): Pick<Table, Own> {
    const noKeys = (): never => fail('unavailable', 'the stand-in keeps no keys');
    const said = (): DeskStatus => {
      this.#changed();
      return status();
    };
    return {
      ways: () => [...this.ways],
      treasury: () => ({ kind: 'own', address: this.stage === 'new' ? null : TREASURY }),
      here: () => !this.windowLocked,
      unlock_with_keychain: () => {
        if (!this.ways.includes(EVERYDAY)) fail('conflict', 'this vault does not open with the keychain alone');
        this.#open();
        return said();
      },
      confirm: (a) => {
        this.#right(a.passphrase);
        return said();
      },
      leave: () => {
        this.presenceUntil = 0;
        this.windowLocked = true;
        return said();
      },
      set_locks: (a) => {
        this.#setLocks(a);
        return said();
      },
      change_passphrase: (a) => {
        this.#right(a.passphrase);
        this.passphrase = a.newPassphrase;
        return this.#with(this.ways);
      },
      add_way: (a) => {
        this.#right(a.passphrase);
        return this.#with([a.kind === 'everyday' ? EVERYDAY : a.kind === 'strong' ? STRONG : ALONE, ...this.ways]);
      },
      remove_way: (a) => {
        this.#right(a.passphrase);
        return this.#with(this.ways.filter((way) => way.id !== a.way));
      },
      move_to_keychain: (a) => {
        this.#right(a.passphrase);
        return this.#with([STRONG, PAPER]);
      },
      reveal_words: (): Words => {
        this.needPresence();
        return { words: WORDS.split(' ') };
      },
      export_key: noKeys,
      import_treasury: noKeys,
      watch_treasury: noKeys,
      own_treasury: noKeys,
    };
  }

  #open(): void {
    this.stage = 'open';
    this.openedAt = Date.now();
  }

  #right(passphrase: string): void {
    if (passphrase !== this.passphrase) fail('wrong_passphrase', 'that is not the passphrase');
    this.presenceUntil = Date.now() + PRESENCE_MS;
    this.windowLocked = false;
  }

  #with(ways: WayView[]): WayView[] {
    this.ways = ways;
    this.#changed();
    return [...ways];
  }

  #setLocks(to: Commands['set_locks']['args']): void {
    const longer = (now: number | null, before: number | null): boolean => before !== null && (now === null || now > before);
    if (longer(to.signingIdleMin, this.signingIdle) || longer(to.windowIdleMin, this.windowIdle) || (this.withSession && !to.withSession)) this.needPresence();
    this.signingIdle = to.signingIdleMin;
    this.windowIdle = to.windowIdleMin;
    this.withSession = to.withSession;
  }
}
