import type { BudgetForm, RehearsalView } from '../generated/types';
import { ASSET, decide, decimal, startOf, WINDOWS, type Use, type Window } from './rules';

/** One payment of the past. */
export interface Past {
  at: number;
  payee: string;
  amount: bigint;
  saidYes: boolean;
  paid: boolean;
  /** Whether the payee was new to the agent when it was asked for. */
  isNew: boolean;
}

interface Spent extends Past {
  wasNew: boolean;
}

/** What a budget would have done with these payments, oldest first, by the stand-in's own rules. */
export function rehearse(budget: BudgetForm, grade: string, past: readonly Past[], days: number): RehearsalView {
  const known = new Set(past.filter((one) => !one.isNew).map((one) => one.payee));
  const spent: Spent[] = [];
  const sums = { allow: 0n, ask: 0n, deny: 0n };
  const counts = { allow: 0, ask: 0, deny: 0 };
  const rules = new Map<string, number>();
  for (const order of past) {
    const wasNew = !known.has(order.payee);
    const findings = decide({
      amount: order.amount, granted: grade, danger: 0, why: null, frozen: false, revoked: false, float: 2n ** 128n, usual: null, at: order.at,
      payee: wasNew ? 'new' : 'known', holders: [{ name: null, budget, use: useOf(spent, order) }],
    });
    const strictest = findings[0]?.effect;
    const outcome = strictest === 'deny' || strictest === 'ask' ? strictest : 'allow';
    counts[outcome] += 1;
    sums[outcome] += order.amount;
    for (const code of new Set(findings.filter((f) => f.effect === 'deny' || f.effect === 'ask').map((f) => f.code))) rules.set(code, (rules.get(code) ?? 0) + 1);
    if (outcome === 'deny' || (outcome === 'ask' && !order.saidYes)) continue;
    spent.push({ ...order, wasNew });
    if (order.paid) known.add(order.payee);
  }
  const most = busiest(spent);
  const payments = past.length;
  return {
    days, asset: ASSET, payments, allowed: counts.allow, asked: counts.ask, refused: counts.deny,
    amount_allowed: decimal(sums.allow), amount_asked: decimal(sums.ask), amount_refused: decimal(sums.deny),
    most_in_a_day: decimal(most?.sum ?? 0n), most_on: most?.day ?? null,
    rules: [...rules].sort((a, b) => b[1] - a[1]).map(([code, times]) => ({ code, times })),
    sentence: `Of the last ${days} days’ ${payments} payments, ${counts.allow} would have been paid, ${counts.ask} asked about, ${counts.deny} refused.`,
  };
}

function useOf(spent: readonly Spent[], order: Past): Use {
  const sum = (which: (one: Spent) => boolean): bigint => spent.filter(which).reduce((all, one) => all + one.amount, 0n);
  const today = startOf('day', order.at);
  const windows = Object.fromEntries(WINDOWS.map((window) => [window, sum((one) => one.at >= startOf(window, order.at))])) as Record<Window, bigint>;
  return {
    windows,
    countHour: spent.filter((one) => one.at >= startOf('hour', order.at)).length,
    payeeDay: sum((one) => one.at >= today && one.payee === order.payee),
    newPayeeDay: sum((one) => one.at >= today && one.wasNew),
    exposure: 0n,
  };
}

function busiest(spent: readonly Spent[]): { day: string; sum: bigint } | undefined {
  const days = new Map<string, bigint>();
  for (const one of spent) {
    const at = new Date(one.at);
    const day = [at.getFullYear(), at.getMonth() + 1, at.getDate()].map((n) => String(n).padStart(2, '0')).join('-');
    days.set(day, (days.get(day) ?? 0n) + one.amount);
  }
  return [...days].map(([day, sum]) => ({ day, sum })).reduce<{ day: string; sum: bigint } | undefined>((most, one) => (most === undefined || one.sum > most.sum ? one : most), undefined);
}
