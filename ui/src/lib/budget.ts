import type { BudgetForm } from './host/generated/types';
import { amountFault, canonical, figures, toUnits, type AmountFault } from './money';
import { civilDate, dateStart } from './time';

/** Spans a limit can run over, shortest first. */
export const WINDOWS = ['day', 'week', 'month', 'lifetime'] as const;
export type Window = (typeof WINDOWS)[number];

/** A budget while it is being written: everything as typed, empty is no limit. */
export interface Draft {
  /** The span the sentence starts with. */
  lead: Window;
  limits: Record<Window, string>;
  perPayment: string;
  overPayment: string;
  newPayee: string;
  zone: string;
  /** A civil date, or empty. */
  ends: string;
}

/** What is wrong with a draft: which field, and a key of the catalogue's `amount` or `budget.fault`. */
export interface DraftFault {
  field: Window | 'perPayment' | 'ends' | 'zone';
  fault: Exclude<AmountFault, 'empty'> | 'unbounded' | 'ended' | 'zone';
}

const KEYS = { day: 'per_day', week: 'per_week', month: 'per_month', lifetime: 'lifetime' } as const;

/** A small, cautious budget to start from. */
export function firstBudget(): BudgetForm {
  return {
    per_payment: '0.25', per_day: '5.00', per_week: null, per_month: null, lifetime: null,
    over_payment: 'ask', new_payee: 'ask', zone: '', expires_at: null,
  };
}

/** A limit as one would type it, with cents. */
function editable(limit: string | null): string {
  if (limit === null) return '';
  const { whole, fraction } = figures(limit);
  return `${whole.replaceAll('\u202f', '')}.${fraction}`;
}

/** Opens a budget for writing. */
export function draftOf(form: BudgetForm): Draft {
  const limits = { day: '', week: '', month: '', lifetime: '' };
  for (const window of WINDOWS) limits[window] = editable(form[KEYS[window]]);
  return {
    lead: WINDOWS.find((window) => limits[window] !== '') ?? 'day',
    limits,
    perPayment: editable(form.per_payment),
    overPayment: form.over_payment,
    newPayee: form.new_payee,
    zone: form.zone,
    ends: form.expires_at === null ? '' : civilDate(form.expires_at),
  };
}

/** Makes another span the sentence's first; the sum goes along unless that span has its own. */
export function withLead(draft: Draft, lead: Window): Draft {
  const limits = { ...draft.limits };
  if (limits[lead] === '') {
    limits[lead] = limits[draft.lead];
    limits[draft.lead] = '';
  }
  return { ...draft, lead, limits };
}

/** Everything that keeps a draft from being a budget. */
export function faults(draft: Draft, nowMs: number): DraftFault[] {
  const found: DraftFault[] = [];
  const amounts: [DraftFault['field'], string][] = [
    ...WINDOWS.map((window): [Window, string] => [window, draft.limits[window]]),
    ['perPayment', draft.perPayment],
  ];
  for (const [field, text] of amounts) {
    const fault = amountFault(text);
    if (fault !== null && fault !== 'empty') found.push({ field, fault });
  }
  // Without any limit over time there is no honest worst case.
  if (WINDOWS.every((window) => draft.limits[window].trim() === '')) found.push({ field: draft.lead, fault: 'unbounded' });
  if (draft.ends !== '') {
    const ends = dateStart(draft.ends, 1);
    if (ends === null || Date.parse(ends) <= nowMs) found.push({ field: 'ends', fault: 'ended' });
  }
  if (!isZone(draft.zone)) found.push({ field: 'zone', fault: 'zone' });
  return found;
}

function isZone(zone: string): boolean {
  if (zone.trim() === '') return true;
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: zone.trim() }));
  } catch {
    return false;
  }
}

/** Closes a draft without faults. The end keeps its old moment when its date was not touched. */
export function formOf(draft: Draft, saved?: BudgetForm): BudgetForm {
  const limit = (text: string): string | null => (text.trim() === '' ? null : canonical(text));
  const untouched = saved !== undefined && saved.expires_at !== null && civilDate(saved.expires_at) === draft.ends;
  return {
    per_payment: limit(draft.perPayment),
    per_day: limit(draft.limits.day),
    per_week: limit(draft.limits.week),
    per_month: limit(draft.limits.month),
    lifetime: limit(draft.limits.lifetime),
    over_payment: draft.overPayment,
    new_payee: draft.newPayee,
    zone: draft.zone.trim(),
    // A budget that ends on a day still holds on that day.
    expires_at: draft.ends === '' ? null : untouched ? saved.expires_at : dateStart(draft.ends, 1),
  };
}

/** One thing that a change gives more room; `from` and `to` are amounts, words or null for none. */
export interface Raise {
  field: Window | 'perPayment' | 'overPayment' | 'newPayee' | 'ends';
  from: string | null;
  to: string | null;
}

/** What a new budget allows beyond the old one. */
export function raises(saved: BudgetForm, next: BudgetForm): Raise[] {
  const found: Raise[] = [];
  const limit = (field: Raise['field'], from: string | null, to: string | null): void => {
    const [before, after] = [from === null ? null : toUnits(from), to === null ? null : toUnits(to)];
    if (before !== null && (after === null || after > before)) found.push({ field, from, to });
  };
  limit('perPayment', saved.per_payment, next.per_payment);
  for (const window of WINDOWS) limit(window, saved[KEYS[window]], next[KEYS[window]]);
  const order = ['deny', 'ask', 'allow'];
  const word = (field: Raise['field'], from: string, to: string): void => {
    if (order.indexOf(to) > order.indexOf(from)) found.push({ field, from, to });
  };
  word('overPayment', saved.over_payment, next.over_payment);
  word('newPayee', saved.new_payee, next.new_payee);
  const [from, to] = [saved.expires_at, next.expires_at];
  if (from !== null && (to === null || Date.parse(to) > Date.parse(from))) found.push({ field: 'ends', from, to });
  return found;
}

/** Whether two budgets say the same. */
export function sameBudget(a: BudgetForm, b: BudgetForm): boolean {
  const key = (form: BudgetForm): string =>
    JSON.stringify([
      ...[form.per_payment, form.per_day, form.per_week, form.per_month, form.lifetime].map((x) => (x === null ? null : canonical(x))),
      form.over_payment, form.new_payee, form.zone, form.expires_at,
    ]);
  return key(a) === key(b);
}
