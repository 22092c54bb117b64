import type { BudgetForm, Finding } from '../generated/types';
import { fromUnits, shown, toUnits } from '../../money';

/** The stand-in's only asset. */
export const ASSET = 'USDC';
export const PLACES = 6;

/** Units of the asset; the stand-in never computes with anything else. */
export const units = (text: string): bigint => toUnits(text, PLACES) ?? 0n;
export const decimal = (amount: bigint): string => fromUnits(amount, PLACES);
export const figure = (amount: bigint): string => shown(decimal(amount));

export const WINDOWS = ['hour', 'day', 'week', 'month', 'lifetime'] as const;
export type Window = (typeof WINDOWS)[number];
/** Those that bound what can be lost; an hour is only a pace. */
export const BOUNDING = ['day', 'week', 'month', 'lifetime'] as const;
export const LIMITS = { hour: 'per_hour', day: 'per_day', week: 'per_week', month: 'per_month', lifetime: 'lifetime' } as const;
export const SAID = { hour: 'in any 60 minutes', day: 'today', week: 'this week', month: 'this month', lifetime: 'in all' } as const;
const CODES = { hour: 'over_per_hour', day: 'over_per_day', week: 'over_per_week', month: 'over_per_month', lifetime: 'over_lifetime' } as const;

/** What one budget has been used for when a payment is asked for. */
export interface Use {
  windows: Record<Window, bigint>;
  countHour: number;
  payeeDay: bigint;
  newPayeeDay: bigint;
  exposure: bigint;
}

/** One budget and what was used of it; a shared one has a name. */
export interface Holder {
  name: string | null;
  budget: BudgetForm;
  use: Use;
}

/** What the rules look at. */
export interface Case {
  amount: bigint;
  granted: string;
  /** 0 calm to 3 halted, and why. */
  danger: number;
  why: string | null;
  frozen: boolean;
  revoked: boolean;
  holders: Holder[];
  float: bigint;
  payee: 'known' | 'new' | { was: string; is: string };
  usual: bigint | null;
  /** When it is asked, epoch milliseconds. */
  at: number;
}

export const DANGERS = ['calm', 'wary', 'guarded', 'halted'] as const;

/** The lower of what was granted and what the danger leaves. */
export function inForce(granted: string, danger: number): string {
  return `L${Math.min(Number(granted.slice(1)), 4 - danger)}`;
}

/** Whether 80 % or more is used. */
export const isNear = (limit: bigint, used: bigint): boolean => limit > 0n && used * 5n >= limit * 4n;

/** A short version of the desk's own rules, with the same words. */
export function decide(c: Case): Finding[] {
  const found: Finding[] = [];
  const add = (code: string, effect: string, message: string, note: string | null = null): void => {
    found.push({ code, effect, message, note });
  };
  const grade = inForce(c.granted, c.danger);
  const because = c.why === null ? '' : `: ${c.why}`;
  if (c.frozen) add('frozen', 'deny', 'The owner has frozen all payments.');
  if (c.revoked) add('agent_revoked', 'deny', 'The agent’s credential was taken away.');
  if (grade === 'L0' || grade === 'L1') add('grade_too_low', 'deny', `${grade} may pay nothing${because}.`);
  if (grade === 'L2') add('grade_asks', 'ask', `L2 Ask: every payment is a question${because}.`);
  for (const holder of c.holders) judge(c, holder, add);
  if (typeof c.payee !== 'string') add('payee_changed', 'ask', `This payee changed its address: ${c.payee.was} → ${c.payee.is}.`);
  if (c.usual !== null && c.amount > 2n * c.usual) add('price_jumped', 'pass', `${figure(c.amount)} is asked.`, `The usual price is ${figure(c.usual)}.`);
  if (c.amount > c.float) add('float_too_small', 'deny', `The float holds ${figure(c.float)}, less than ${figure(c.amount)}.`);
  const strict = ['deny', 'ask', 'approved', 'pass'];
  return found.sort((a, b) => strict.indexOf(a.effect) - strict.indexOf(b.effect));
}

function judge(c: Case, { name, budget, use }: Holder, add: (code: string, effect: string, message: string, note?: string | null) => void): void {
  const of = name === null ? '' : ` of the shared budget ${name}`;
  const limit = (code: string, limit: string | null, sum: bigint, said: string, over: string): void => {
    if (limit === null) return;
    const tooMuch = sum > units(limit);
    const near = !tooMuch && isNear(units(limit), sum) ? 'That is 80 % of the limit or more.' : null;
    add(code, tooMuch ? over : 'pass', `${figure(sum)} of ${shown(limit)} ${said}${of}, this payment included.`, near);
  };
  const wary = c.danger === 1 && budget.per_payment !== null;
  const each = budget.per_payment === null ? null : wary ? units(budget.per_payment) / 2n : units(budget.per_payment);
  if (each !== null) {
    const over = c.amount > each;
    const effect = !over ? 'pass' : budget.over_payment === 'deny' ? 'deny' : 'ask';
    add('over_per_payment', effect, `${figure(c.amount)} is ${over ? 'above' : 'within'} ${figure(each)} per payment${of}${wary ? ', halved while danger is wary' : ''}.`);
  }
  for (const window of WINDOWS) limit(CODES[window], budget[LIMITS[window]], use.windows[window] + c.amount, SAID[window], 'deny');
  limit('over_payee_day', budget.per_payee_day, use.payeeDay + c.amount, 'today to this payee', 'deny');
  limit('over_exposure', budget.exposure, use.exposure + c.amount, 'open at once', 'deny');
  if (budget.max_count_hour !== null) {
    const most = Number(budget.max_count_hour);
    add('over_count_per_hour', use.countHour + 1 > most ? 'deny' : 'pass', `${use.countHour + 1} of ${most} payments in any 60 minutes${of}, this one included.`);
  }
  if (budget.hours !== null && !openAt(budget.hours, c.at)) add('outside_hours', 'deny', `It is outside ${budget.hours}${of}.`);
  if (c.payee !== 'new') return;
  const unasked = budget.new_payee === 'allow' && (name !== null || inForce(c.granted, c.danger) === 'L4');
  add('new_payee', budget.new_payee === 'deny' ? 'deny' : unasked ? 'pass' : 'ask', 'This payee has never been paid before.');
  if (unasked) limit('over_new_payee_day', budget.per_new_payee_day, use.newPayeeDay + c.amount, 'today to new payees', 'ask');
}

/** Whether the local time of day lies inside "09:00-18:00". */
export function openAt(hours: string, at: number): boolean {
  const [from = 0, until = 0] = hours.split('-').map((time) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3)));
  const now = new Date(at).getHours() * 60 + new Date(at).getMinutes();
  return from < until ? now >= from && now < until : now >= from || now < until;
}

/** Where a time stands in its window, in thousandths. */
export function elapsedPermille(window: Window, nowMs: number): number {
  if (window === 'lifetime' || window === 'hour') return 0;
  const start = startOf(window, nowMs);
  return Math.round(((nowMs - start) * 1000) / (endOf(window, nowMs) - start));
}

/** When the current window began. */
export function startOf(window: Window, nowMs: number): number {
  const at = new Date(nowMs);
  const day = new Date(at.getFullYear(), at.getMonth(), at.getDate());
  if (window === 'hour') return nowMs - 3_600_000;
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
  const words = { hour: 'an hour', day: 'a day', week: 'a week', month: 'a month', lifetime: 'in all' };
  const limits = WINDOWS.flatMap((window) => {
    const limit = budget[LIMITS[window]];
    return limit === null ? [] : [`${shown(limit)} ${words[window]}`];
  });
  const each = budget.per_payment === null ? '' : `, at most ${shown(budget.per_payment)} each, then ${budget.over_payment === 'ask' ? 'ask' : 'refuse'}`;
  return `${limits.join(' and ')}${each}.${budget.hours === null ? '' : ` Only ${budget.hours}.`}`;
}
