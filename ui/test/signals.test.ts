import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { firstBudget } from '../src/lib/budget';
import type { RehearsalView, SignalView } from '../src/lib/host/generated/types';
import type { Host } from '../src/lib/host/host';
import { StandinDesk } from '../src/lib/host/standin/desk';
import { inForce } from '../src/lib/host/standin/rules';
import { seed } from '../src/lib/host/standin/seed';
import { changeOf, needsThought, openFirst } from '../src/lib/signals';
import { Rehearsal, TYPING_MS } from '../src/lib/state/rehearsal.svelte';

const [OLD, NEW] = ['0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF', '0x6813Eb9362372EEF6200f3b1dbC3f819671cBA69'];

describe('what was seen', () => {
  test.each([
    ['pay_to_changed', `https://prices.example asks to be paid at ${NEW} instead of ${OLD}.`, { before: OLD, after: NEW }],
    ['price_soared', 'https://scan.example asks 0.6 USDC where 0.05 was usual.', { before: '0.05', after: '0.6 USDC' }],
    // Neither side was before the other.
    ['books_differ', 'The books say that Scout’s float holds 21.9, and the chain says 21.65 USDC.', null],
    ['refusal_burst', 'It was refused three times in ten minutes.', null],
    ['pay_to_changed', 'something else', null],
    ['toString', `paid at ${NEW} instead of ${OLD}`, null],
  ])('%s: %s', (kind, detail, change) => {
    expect(changeOf({ kind, detail })).toEqual(change);
  });

  test('what is open comes first, each part in the desk’s order', () => {
    const signals = [1, 2, 3, 4].map((seq) => ({ seq, open: seq % 2 === 0 }) as SignalView);
    expect(openFirst(signals).map((signal) => signal.seq)).toEqual([2, 4, 1, 3]);
  });

  test('only what takes the books on trust is asked about once more', () => {
    expect(['rolled_back', 'books_broken', 'pay_to_changed', 'refusal_burst'].filter(needsThought)).toEqual(['rolled_back', 'books_broken']);
  });
});

describe('the stand-in', () => {
  const desk = (name: string): StandinDesk => {
    const made = new StandinDesk();
    seed(made, name);
    return made;
  };

  test('grade in force is the lower of granted and what danger leaves', () => {
    expect([0, 1, 2, 3].map((danger) => inForce('L4', danger))).toEqual(['L4', 'L3', 'L2', 'L1']);
    expect([0, 1, 2, 3].map((danger) => inForce('L2', danger))).toEqual(['L2', 'L2', 'L2', 'L1']);
  });

  test('an agent refused three times asks, until the owner has seen it', async () => {
    const it = desk('month');
    for (let i = 0; i < 3; i++) it.ask({ agent: 'Scout', what: `Yacht ${i}`, amount: '20' });
    expect(it.ask({ agent: 'Scout', what: 'Weather', amount: '0.01' }).state).toBe('waiting');
    expect(it.status()).toMatchObject({ danger: 'calm', signals: 1 });
    const [signal] = await it.run('signals', {});
    expect(signal).toMatchObject({ kind: 'refusal_burst', subject: 'Scout', open: true, needs_ack: true });
    await it.run('acknowledge', { signal: signal?.seq ?? 0 });
    expect(it.ask({ agent: 'Scout', what: 'Weather', amount: '0.01' }).state).toBe('delivered');
    await expect(it.run('acknowledge', { signal: signal?.seq ?? 0 })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a shared budget stops all its agents together, exactly', async () => {
    const it = desk('month');
    it.addShared('Team', { ...firstBudget(), per_payment: null, per_day: '1', new_payee: 'allow' });
    await it.run('join_shared', { agent: 'Scout', shared: 'Team' });
    await it.run('join_shared', { agent: 'Archivist', shared: 'Team' });
    const paid = ['Scout', 'Archivist'].flatMap((agent) => Array.from({ length: 6 }, (_, i) => it.ask({ agent, what: `Item ${i}`, amount: '0.2' }).state));
    const [team] = await it.run('shared_budgets', {});
    const used = paid.filter((state) => state === 'delivered').length;
    expect(used).toBeGreaterThan(0);
    expect(Number(team?.windows[0]?.spent) + Number(team?.windows[0]?.in_flight)).toBeLessThanOrEqual(1);
    expect(Number(team?.windows[0]?.left)).toBeLessThan(0.2);
  });

  test('rehearses without writing, and a lower limit never lets more through', async () => {
    const it = desk('month');
    const before = it.seq;
    const rehearse = (form: Partial<ReturnType<typeof firstBudget>>): Promise<RehearsalView> => it.run('rehearse', { agent: 'Scout', budget: { ...firstBudget(), ...form }, days: 30 }) as Promise<RehearsalView>;
    const [wide, narrow, none] = await Promise.all([rehearse({}), rehearse({ per_day: '0.2' }), rehearse({ per_day: '0' })]);
    expect(wide.payments).toBeGreaterThan(10);
    for (const it of [wide, narrow, none]) expect(it.allowed + it.asked + it.refused).toBe(it.payments);
    expect(narrow.allowed).toBeLessThan(wide.allowed);
    expect(none).toMatchObject({ allowed: 0, most_in_a_day: '0', most_on: null });
    expect(none.rules[0]?.code).toBe('over_per_day');
    expect(it.seq).toBe(before);
  });

  test('the clock asks until it is taken as right', async () => {
    const it = desk('clock');
    expect(it.status()).toMatchObject({ danger: 'guarded', clock_behind_s: 2820 });
    expect(it.ask({ agent: 'Scout', what: 'Weather', amount: '0.01' }).state).toBe('waiting');
    expect(await it.run('accept_clock', {})).toMatchObject({ danger: 'calm', clock_behind_s: null });
    await expect(it.run('accept_clock', {})).rejects.toMatchObject({ code: 'bad_input' });
  });
});

describe('a rehearsal', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** A host that answers with how many payments it was asked about, when told to. */
  function host(): { host: Host; asked: () => number; answer: (payments: number) => Promise<void>; refuse: () => Promise<void> } {
    const open: { resolve: (view: RehearsalView) => void; reject: (thrown: unknown) => void }[] = [];
    let asked = 0;
    const call = (): Promise<unknown> => new Promise((resolve, reject) => { asked += 1; open.push({ resolve, reject }); });
    const settle = async (act: () => void): Promise<void> => { act(); await vi.advanceTimersByTimeAsync(0); };
    return {
      host: { call } as unknown as Host,
      asked: () => asked,
      answer: (payments) => settle(() => open.shift()?.resolve({ payments } as RehearsalView)),
      refuse: () => settle(() => open.shift()?.reject({ code: 'bad_input', message: 'at most 6 decimals', recovery: '' })),
    };
  }

  test('waits for the typing to rest and asks once', async () => {
    const desk = host();
    const rehearsal = new Rehearsal(desk.host, 'agt_1');
    for (let i = 0; i < 5; i++) {
      rehearsal.show(firstBudget());
      await vi.advanceTimersByTimeAsync(TYPING_MS - 1);
    }
    expect(desk.asked()).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(desk.asked()).toBe(1);
    expect(rehearsal.old).toBe(true);
    await desk.answer(41);
    expect(rehearsal.value?.payments).toBe(41);
    expect(rehearsal.old).toBe(false);
  });

  test('keeps the last answer in sight, and drops one that is out of date', async () => {
    const desk = host();
    const rehearsal = new Rehearsal(desk.host, 'agt_1');
    rehearsal.show(firstBudget());
    await vi.advanceTimersByTimeAsync(TYPING_MS);
    await desk.answer(1);
    rehearsal.show(firstBudget());
    await vi.advanceTimersByTimeAsync(TYPING_MS);
    rehearsal.show(firstBudget());
    await desk.answer(2);
    expect(rehearsal.value?.payments).toBe(1);
    expect(rehearsal.old).toBe(true);
    await vi.advanceTimersByTimeAsync(TYPING_MS);
    await desk.answer(3);
    expect(rehearsal.value?.payments).toBe(3);
  });

  test('a form with faults is not rehearsed, and the desk’s own fault is kept', async () => {
    const desk = host();
    const rehearsal = new Rehearsal(desk.host, 'agt_1');
    rehearsal.show(undefined);
    await vi.advanceTimersByTimeAsync(TYPING_MS * 2);
    expect(desk.asked()).toBe(0);
    expect(rehearsal.old).toBe(true);
    rehearsal.show(firstBudget());
    await vi.advanceTimersByTimeAsync(TYPING_MS);
    await desk.refuse();
    expect(rehearsal.problem?.code).toBe('bad_input');
    rehearsal.show(firstBudget());
    rehearsal.stop();
    await vi.advanceTimersByTimeAsync(TYPING_MS);
    expect(desk.asked()).toBe(1);
  });
});
