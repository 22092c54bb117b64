import { describe, expect, test } from 'vitest';
import type { ActivityPage, ActivityRow } from '../src/lib/host/generated/types';
import type { Host } from '../src/lib/host/host';
import { Desk } from '../src/lib/state/desk.svelte';
import { ActivityPages } from '../src/lib/state/pages.svelte';
import { Resource } from '../src/lib/state/resource.svelte';
import { StandinDesk } from '../src/lib/host/standin/desk';
import { hostOf } from '../src/lib/host/standin/index';
import { seed } from '../src/lib/host/standin/seed';

/** A question whose answers come when the test says so. */
function held(): { ask: () => Promise<number>; asked: () => number; answer: (value: number) => void; refuse: (thrown: unknown) => void } {
  const open: { resolve: (value: number) => void; reject: (thrown: unknown) => void }[] = [];
  let asked = 0;
  return {
    ask: () => new Promise((resolve, reject) => { asked += 1; open.push({ resolve, reject }); }),
    asked: () => asked,
    answer: (value) => open.shift()?.resolve(value),
    refuse: (thrown) => open.shift()?.reject(thrown),
  };
}
const settle = (): Promise<void> => new Promise((resolve) => { setTimeout(resolve); });

describe('a resource', () => {
  test('many changes at once are one question more, and an old answer is not shown', async () => {
    const question = held();
    const resource = new Resource(question.ask);
    const first = resource.reload();
    for (let i = 0; i < 10; i++) void resource.reload();
    expect(question.asked()).toBe(1);
    question.answer(1);
    await settle();
    expect(resource.value).toBeUndefined();
    expect(question.asked()).toBe(2);
    question.answer(2);
    await first;
    expect(resource.value).toBe(2);
    expect(question.asked()).toBe(2);
    expect(resource.loading).toBe(false);
  });

  test('a problem leaves the last value, and goes with the next answer', async () => {
    const question = held();
    const resource = new Resource(question.ask);
    const turns = [resource.reload()];
    question.answer(1);
    await Promise.all(turns);
    const second = resource.reload();
    question.refuse({ code: 'locked', message: 'the vault is locked', recovery: '' });
    await second;
    expect(resource.value).toBe(1);
    expect(resource.problem?.code).toBe('locked');
    const third = resource.reload();
    question.answer(3);
    await third;
    expect(resource.problem).toBeUndefined();
  });
});

describe('the desk', () => {
  test('hands a change to those who show its topic', () => {
    const standin = new StandinDesk();
    const desk = new Desk(hostOf(standin));
    const stop = desk.start();
    const heard: string[] = [];
    desk.listen(['agents'], () => heard.push('agents'));
    const unhear = desk.listen(['activity', 'overview'], () => heard.push('activity'));
    standin.changed('activity', 'overview');
    expect(heard).toEqual(['activity']);
    unhear();
    standin.changed('activity', 'agents');
    expect(heard).toEqual(['activity', 'agents']);
    stop();
    standin.changed('agents');
    expect(heard).toHaveLength(2);
  });

  test('words a problem, and says the same thing once', async () => {
    const desk = new Desk(hostOf(new StandinDesk()));
    for (let i = 0; i < 2; i++) expect(await desk.act('unlock', { passphrase: 'x' })).toBeUndefined();
    expect(desk.notes).toHaveLength(1);
    expect(desk.notes[0]).toMatchObject({ tone: 'wrong', text: 'There is no vault yet.' });
  });
});

describe('activity pages', () => {
  const ALL = { agent_id: null, state: null, text: null, from: null, until: null };

  test('go on where they stopped, and stay fresh at the top', async () => {
    const standin = new StandinDesk();
    seed(standin, 'long');
    const pages = new ActivityPages(hostOf(standin), ALL);
    await pages.show(ALL);
    expect(pages.rows).toHaveLength(100);
    await pages.more();
    await pages.more();
    expect(pages.rows).toHaveLength(300);
    const last = pages.rows.at(-1)?.payment_id;
    standin.ask({ agent: 'Scout', what: 'Something new', amount: '0.01' });
    await pages.refresh();
    expect(pages.rows[0]?.what).toBe('Something new');
    expect(pages.rows.at(-1)?.payment_id).toBe(last);
    expect(pages.rows).toHaveLength(301);
    while (pages.cursor !== null) await pages.more();
    expect(pages.rows).toHaveLength(pages.total);
    expect(new Set(pages.rows.map((row) => row.payment_id)).size).toBe(pages.total);
    const times = pages.rows.map((row) => row.at);
    expect(times).toEqual([...times].sort().reverse());
  });

  test('an answer to an older filter is dropped', async () => {
    const answers: ((page: ActivityPage) => void)[] = [];
    const host = { call: () => new Promise((resolve) => { answers.push(resolve as never); }) } as unknown as Host;
    const page = (what: string): ActivityPage => ({ rows: [{ payment_id: what, what } as ActivityRow], next_cursor: null, total: 1, total_is_exact: true });
    const pages = new ActivityPages(host, ALL);
    const old = pages.show(ALL);
    const now = pages.show({ ...ALL, text: 'x' });
    answers[1]?.(page('new'));
    answers[0]?.(page('old'));
    await Promise.all([old, now]);
    expect(pages.rows.map((row) => row.what)).toEqual(['new']);
  });
});
