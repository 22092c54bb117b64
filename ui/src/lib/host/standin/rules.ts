import type { BudgetForm, Finding } from '../generated/types';
import { fromUnits, shown, toUnits } from '../../money';

/** The stand-in's only asset. */
export const ASSET = 'USDC';
export const PLACES = 6;

/** Units of the asset; the stand-in never computes with anything else. */
export const units = (text: string): bigint => toUnits(text, PLACES) ?? 0n;
export const decimal = (amount: bigint): string => fromUnits(amount, PLACES);
const figure = (amount: bigint): string => shown(decimal(amount));

export const WINDOWS = ['day', 'week', 'month', 'lifetime'] as const;
export type Window = (typeof WINDOWS)[number];
export const LIMITS = { day: 'per_day', week: 'per_week', month: 'per_month', lifetime: 'lifetime' } as const;
const SAID = { day: 'today', week: 'this week', month: 'this month', lifetime: 'in all' } as const;

/** What the rules look at. */
export interface Case {
  amount: bigint;
  grade: string;
  frozen: boolean;
  revoked: boolean;
  budget: BudgetForm;
  used: Record<Window, bigint>;
  float: bigint;
  knownPayee: boolean;
}

/** A short version of the desk's own rules, with the same words. */
export function decide(c: Case): Finding[] {
  const found: Finding[] = [];
  const add = (code: string, effect: string, message: string): void => {
    found.push({ code, effect, message });
  };
  if (c.frozen) add('frozen', 'deny', 'The owner has frozen all payments.');
  if (c.revoked) add('agent_revoked', 'deny', 'The agent’s credential was taken away.');
  if (c.grade === 'L0' || c.grade === 'L1') add('grade_too_low', 'deny', `${c.grade} may pay nothing.`);
  if (c.grade === 'L2') add('grade_asks', 'ask', 'L2 Ask: every payment is a question.');
  const each = c.budget.per_payment;
  if (each !== null) {
    const over = c.amount > units(each);
    const effect = !over ? 'pass' : c.budget.over_payment === 'deny' ? 'deny' : 'ask';
    add('over_per_payment', effect, `${figure(c.amount)} is ${over ? 'above' : 'within'} ${shown(each)} per payment.`);
  }
  for (const window of WINDOWS) {
    const limit = c.budget[LIMITS[window]];
    if (limit === null) continue;
    const sum = c.used[window] + c.amount;
    const over = sum > units(limit);
    const code = window === 'lifetime' ? 'over_lifetime' : `over_per_${window}`;
    add(code, over ? 'deny' : 'pass', `${figure(sum)} of ${shown(limit)} ${SAID[window]}, this payment included.`);
  }
  if (!c.knownPayee) {
    const rule = c.budget.new_payee;
    const effect = rule === 'deny' ? 'deny' : rule === 'allow' && c.grade === 'L4' ? 'pass' : 'ask';
    add('new_payee', effect, 'This payee has never been paid before.');
  }
  if (c.amount > c.float) add('float_too_small', 'deny', `The float holds ${figure(c.float)}, less than ${figure(c.amount)}.`);
  const strict = ['deny', 'ask', 'approved', 'pass'];
  return found.sort((a, b) => strict.indexOf(a.effect) - strict.indexOf(b.effect));
}

/** Where a time stands in its window, in thousandths. */
export function elapsedPermille(window: Window, nowMs: number): number {
  if (window === 'lifetime') return 0;
  const start = startOf(window, nowMs);
  return Math.round(((nowMs - start) * 1000) / (endOf(window, nowMs) - start));
}

/** When the current window began. */
export function startOf(window: Window, nowMs: number): number {
  const at = new Date(nowMs);
  const day = new Date(at.getFullYear(), at.getMonth(), at.getDate());
  if (window === 'day') return day.getTime();
  if (window === 'week') return new Date(at.getFullYear(), at.getMonth(), at.getDate() - ((at.getDay() + 6) % 7)).getTime();
  return window === 'month' ? new Date(at.getFullYear(), at.getMonth(), 1).getTime() : 0;
}

/** When the next window begins. */
export function endOf(window: Window, nowMs: number): number {
  const start = new Date(startOf(window, nowMs));
  if (window === 'month') return new Date(start.getFullYear(), start.getMonth() + 1, 1).getTime();
  return new Date(start.getFullYear(), start.getMonth(), start.getDate() + (window === 'day' ? 1 : 7)).getTime();
}

/** A budget as one sentence. */
export function sentence(budget: BudgetForm): string {
  const words = { day: 'a day', week: 'a week', month: 'a month', lifetime: 'in all' };
  const limits = WINDOWS.flatMap((window) => {
    const limit = budget[LIMITS[window]];
    return limit === null ? [] : [`${shown(limit)} ${words[window]}`];
  });
  const each = budget.per_payment === null ? '' : `, at most ${shown(budget.per_payment)} each, then ${budget.over_payment === 'ask' ? 'ask' : 'refuse'}`;
  return `${limits.join(' and ')}${each}.`;
}
