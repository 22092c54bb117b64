import { invoke } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';
import type { Changed } from './generated/types';
import type { Host } from './host';

/** The desk in the same process as this window. */
export function makeHost(): Host {
  return {
    call: (name, args) => invoke(name, args),
    onChanged(heard) {
      const listening = listen<Changed>('changed', (event) => {
        heard(event.payload);
      });
      // Without the event nothing updates by itself, but everything still answers when asked.
      listening.catch(() => undefined);
      return () => {
        listening.then((stop) => {
          stop();
        }, () => undefined);
      };
    },
    exportActivity: (filter) => invoke('export_activity', { filter }),
    saveBackup: (passphrase) => invoke('save_backup', { passphrase }),
    ready: () => invoke('window_ready'),
    quit: () => invoke('quit'),
  };
}
