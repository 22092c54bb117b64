import { describe, expect, test } from 'vitest';
import { hostOf } from '../src/lib/host/standin/index';
import { StandinDesk } from '../src/lib/host/standin/desk';
import { seed, SEED_PASSPHRASE } from '../src/lib/host/standin/seed';
import { Desk } from '../src/lib/state/desk.svelte';

/** An open desk whose owner has been away for longer than two minutes. */
function away(): { standin: StandinDesk; desk: Desk } {
  const standin = new StandinDesk();
  seed(standin, 'month');
  standin.vault.presenceUntil = 0;
  return { standin, desk: new Desk(hostOf(standin)) };
}

/** Waits until the desk asks for the passphrase. */
async function asked(desk: Desk): Promise<void> {
  await expect.poll(() => desk.asking).toBe(true);
}

describe('an act that raises', () => {
  test('asks for the passphrase and goes on with what was begun', async () => {
    const { standin, desk } = away();
    const page = await desk.host.call('agent', { agent: 'Scout' });
    const raised = desk.act('set_budget', { agent: 'Scout', budget: { ...page.budget, per_day: '9' } });
    await asked(desk);
    await desk.host.call('confirm', { passphrase: SEED_PASSPHRASE });
    desk.answerPresence(true);
    expect((await raised)?.budget.per_day).toBe('9');
    expect(desk.asking).toBe(false);
    expect(standin.vault.presenceUntil).toBeGreaterThan(Date.now());
  });

  test('does nothing, and says nothing, when the dialog is put away', async () => {
    const { desk } = away();
    const raised = desk.act('set_grade', { agent: 'Scout', grade: 'L4' });
    await asked(desk);
    desk.answerPresence(false);
    expect(await raised).toBeUndefined();
    expect(desk.notes).toEqual([]);
    expect((await desk.host.call('agent', { agent: 'Scout' })).row.grade).toBe('L3');
  });

  test('shares one dialog with others', async () => {
    const { desk } = away();
    const both = [desk.act('allow_host', { host: '127.0.0.1:1' }), desk.act('allow_host', { host: '127.0.0.1:2' })];
    await asked(desk);
    // Answered in the order they were asked: both have been refused by now.
    await desk.host.call('status', {});
    await desk.host.call('confirm', { passphrase: SEED_PASSPHRASE });
    desk.answerPresence(true);
    expect((await Promise.all(both)).at(-1)).toHaveLength(2);
  });
});

describe('an act that lowers', () => {
  test('never asks', async () => {
    const { desk } = away();
    const page = await desk.host.call('agent', { agent: 'Scout' });
    expect(await desk.act('set_budget', { agent: 'Scout', budget: { ...page.budget, per_day: '0.10' } })).toBeDefined();
    expect(await desk.act('set_grade', { agent: 'Scout', grade: 'L1' })).toBeDefined();
    expect(await desk.act('freeze', {})).toBeDefined();
    expect(await desk.act('lock', {})).toBeDefined();
    expect(desk.asking).toBe(false);
  });
});

test('the window says until when raising is open', async () => {
  const { standin, desk } = away();
  await desk.status.reload();
  expect(desk.trustedUntil).toBeUndefined();
  standin.openWith(SEED_PASSPHRASE);
  await desk.status.reload();
  expect(desk.trustedUntil).toBeGreaterThan(Date.now() + 100_000);
});
