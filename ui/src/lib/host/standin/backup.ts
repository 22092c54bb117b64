import type { BackupMade, BackupProgress, DeskStatus } from '../generated/types';
import { hex } from './hash';
import { fail } from './vault';

/** A step ends once somebody has looked at it, or after this. */
const STEP_MS = 350;
const WEEK_MS = 7 * 24 * 60 * 60_000;
const IDLE: BackupProgress = { running: false, step: '', permille: null };

/** The backups of the in-memory desk: nothing is written, and each step can be watched. */
export class StandinBackups {
  /** Set to have the next one fail as a full disk does. */
  diskFull = false;
  /** When the last one was made, and the events it holds; tests turn it back. */
  last: { at: number; events: number } | null = null;
  #now: BackupProgress = IDLE;
  #looked: (() => void) | undefined;
  readonly #events: () => number;
  readonly #changed: () => void;
  readonly #needPresence: () => void;

  constructor(events: () => number, changed: () => void, needPresence: () => void) {
    this.#events = events;
    this.#changed = changed;
    this.#needPresence = needPresence;
  }

  /** Makes one where the owner would have chosen. */
  async save(passphrase: string): Promise<BackupMade> {
    this.#check(passphrase);
    for (const step of ['copying', 'sealing', 'reading', 'proving', 'placing']) {
      this.#now = { running: true, step, permille: step === 'sealing' ? 500 : null };
      await new Promise<void>((resolve) => {
        this.#looked = resolve;
        setTimeout(resolve, STEP_MS);
      });
    }
    this.#now = IDLE;
    return this.make(passphrase);
  }

  /** Makes one at once. */
  make(passphrase: string): BackupMade {
    this.#check(passphrase);
    if (this.diskFull) fail('disk', 'the disk is full, so the backup could not be written', 'Free some space, or choose another disk.');
    const [at, events] = [Date.now(), this.#events()];
    this.last = { at, events };
    this.#changed();
    return { path: '/media/stick/imprest.age', bytes: 40_960 + events * 512, sha256: hex(`backup${events}`, 64), made_at: new Date(at).toISOString(), events };
  }

  /** How far the present one is. */
  look(): BackupProgress {
    this.#looked?.();
    return this.#now;
  }

  status(): DeskStatus['backup'] {
    return {
      last_at: this.last === null ? null : new Date(this.last.at).toISOString(),
      events_since: this.#events() - (this.last?.events ?? 0),
      note: this.#note(),
    };
  }

  #note(): string | null {
    if (this.#events() === (this.last?.events ?? 0)) return null;
    if (this.last === null) return 'No backup has been made yet. Without one, a lost disk loses the books.';
    return Date.now() - this.last.at < WEEK_MS ? null : 'The last backup is more than a week old.';
  }

  #check(passphrase: string): void {
    this.#needPresence();
    if (Array.from(passphrase).length < 10) fail('bad_input', 'this passphrase cannot be used for a backup: it has fewer than 10 characters');
  }
}
