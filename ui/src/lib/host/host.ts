import type { Commands } from './generated/commands';
import type { ActivityFilter, BackupMade, Changed, Exported, Problem } from './generated/types';

/** A command's name. */
export type CommandName = keyof Commands;

/**
 * The desk, as the window knows it. Every rejection is a `Problem`; see `asProblem`.
 */
export interface Host {
  /** Asks the desk for something, or tells it to do something. */
  call<N extends CommandName>(name: N, args: Commands[N]['args']): Promise<Commands[N]['answer']>;
  /** Is told when something changed; the answer stops that. */
  onChanged(heard: (changed: Changed) => void): () => void;
  /** Lets the owner choose a file and writes activity there as CSV; null when they chose none. */
  exportActivity(filter: ActivityFilter): Promise<Exported | null>;
  /** Lets the owner choose a file and makes a backup there; null when they chose none. */
  saveBackup(passphrase: string): Promise<BackupMade | null>;
  /** Says once that the window shows something. */
  ready(): Promise<void>;
  /** Ends the desk. */
  quit(): Promise<void>;
}

/** Reads whatever was thrown as a problem. */
export function asProblem(thrown: unknown): Problem {
  if (typeof thrown === 'object' && thrown !== null) {
    const { code, message, recovery } = thrown as Record<string, unknown>;
    if (typeof code === 'string' && typeof message === 'string') {
      return { code, message, recovery: typeof recovery === 'string' ? recovery : '' };
    }
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: 'internal', message, recovery: '' };
}
