import { describe, expect, test } from 'vitest';
import { StandinDesk } from '../src/lib/host/standin/desk';
import { SEED_PASSPHRASE, seed } from '../src/lib/host/standin/seed';
import { en } from '../src/lib/messages/en';

const DAY_MS = 24 * 60 * 60_000;

describe('the stand-in keeps backups', () => {
  const desk = async (): Promise<StandinDesk> => {
    const made = new StandinDesk();
    seed(made, 'month');
    await made.run('confirm', { passphrase: SEED_PASSPHRASE });
    return made;
  };

  test('making one asks for the owner', async () => {
    const it = await desk();
    await it.run('leave', {});
    await expect(it.backups.save('a passphrase of its own')).rejects.toMatchObject({ code: 'presence_needed' });
  });

  test('one is due at first, and again a week after the last', async () => {
    const it = await desk();
    expect(it.status().backup).toMatchObject({ last_at: null, note: expect.stringContaining('No backup') as string });
    const made = await it.backups.save('a passphrase of its own');
    expect(it.status().backup).toEqual({ last_at: made.made_at, events_since: 0, note: null });
    it.backups.last = { at: Date.now() - 8 * DAY_MS, events: made.events - 1 };
    expect(it.status().backup).toMatchObject({ events_since: 1, note: expect.stringContaining('week') as string });
  });

  test('it is watched while it is made, and refused by name', async () => {
    const it = await desk();
    const making = it.backups.save('a passphrase of its own');
    expect(await it.run('backup_progress', {})).toEqual({ running: true, step: 'copying', permille: null });
    await making;
    expect(await it.run('backup_progress', {})).toEqual({ running: false, step: '', permille: null });
    await expect(it.backups.save('short')).rejects.toMatchObject({ code: 'bad_input' });
    await expect(it.backups.save('nine char')).rejects.toMatchObject({ code: 'bad_input' });
    it.backups.diskFull = true;
    await expect(it.backups.save('a passphrase of its own')).rejects.toMatchObject({ code: 'disk' });
  });
});

test('a desk out of a backup says so until it is thawed', async () => {
  const it = new StandinDesk();
  seed(it, 'month');
  await it.run('confirm', { passphrase: SEED_PASSPHRASE });
  await it.run('freeze', {});
  it.restoredNote = 'These books come from a backup.';
  expect(it.status()).toMatchObject({ frozen: true, restored_note: 'These books come from a backup.' });
  await it.run('thaw', {});
  expect(it.status()).toMatchObject({ frozen: false, restored_note: null });
});

test('progress is said in words', () => {
  const says = en.settings.backup;
  expect(says.progress('sealing', 45)).toBe('Sealing, 45 %');
  expect(says.progress('proving', null)).toBe('Proving the books…');
  expect(says.progress('toString', null)).toBe('Working…');
  expect(says.last('today', '1')).toBe('Last backup today; 1 event since.');
  expect(says.last('today', '0')).toContain('nothing has happened');
});
