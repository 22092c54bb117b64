import type { Commands } from '../generated/commands';
import type { Host } from '../host';
import { StandinDesk } from './desk';
import { seed } from './seed';

declare global {
  interface Window {
    /** The in-memory desk, for tests that play the agents. Never in the application. */
    imprestStandin?: StandinDesk;
  }
}

/** How long an answer takes, so that waiting is seen in development. */
const ANSWER_MS = 4;

/**
 * An in-memory desk with the behaviour of the real one, for development and tests of the page.
 * `?seed=month` starts with three agents and some history, `?seed=locked` with the vault closed.
 */
export function makeHost(search = window.location.search): Host {
  const desk = new StandinDesk();
  seed(desk, new URLSearchParams(search).get('seed'));
  window.imprestStandin = desk;
  return hostOf(desk);
}

/** The host interface over an in-memory desk. */
export function hostOf(desk: StandinDesk): Host {
  const call = async <N extends keyof Commands>(name: N, args: Commands[N]['args']): Promise<Commands[N]['answer']> => {
    await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
    return structuredClone(await desk.run(name, args));
  };
  return {
    call,
    onChanged: (heard) => desk.onChanged(heard),
    exportActivity: async (filter) => desk.exportCsv(filter),
    saveBackup: async (passphrase) => desk.backups.save(passphrase),
    ready: async () => {
      desk.readyCount += 1;
    },
    quit: async () => {
      desk.hasQuit = true;
    },
  };
}
