import type { BudgetForm } from './host/generated/types';
import { hoursFault, hoursOf, hoursParts, sameHours, within } from './hours';
import { amountFault, canonical, figures, toUnits, type AmountFault } from './money';
import { lastDate, dateStart } from './time';

/** Spans a limit can run over, shortest first. Each of them bounds what can be lost. */
export const WINDOWS = ['day', 'week', 'month', 'lifetime'] as const;
export type Window = (typeof WINDOWS)[number];

/** Limits on sums that bound nothing over time by themselves. */
export const SUMS = ['hour', 'payeeDay', 'newPayeeDay', 'exposure'] as const;
export type Sum = (typeof SUMS)[number];

/** A budget while it is being written: everything as typed, empty is no limit. */
export interface Draft {
  /** The span the sentence starts with. */
  lead: Window;
  limits: Record<Window, string>;
  sums: Record<Sum, string>;
  perPayment: string;
  overPayment: string;
  newPayee: string;
  /** Payments in any 60 minutes, a whole number. */
  countHour: string;
  /** Hours of the day, "HH:MM"; both or none. */
  from: string;
  until: string;
  zone: string;
  /** A civil date, or empty. */
  ends: string;
}

/** Every field of a draft that can be wrong. */
export type Field = Window | Sum | 'perPayment' | 'countHour' | 'hours' | 'ends' | 'zone';

/** What is wrong with a draft: which field, and a key of the catalogue's `budget.fault`. */
export interface DraftFault {
  field: Field;
  fault: Exclude<AmountFault, 'empty'> | 'unbounded' | 'count' | 'hours' | 'halfHours' | 'ended' | 'zone';
}

const KEYS = { day: 'per_day', week: 'per_week', month: 'per_month', lifetime: 'lifetime' } as const;
const SUM_KEYS = { hour: 'per_hour', payeeDay: 'per_payee_day', newPayeeDay: 'per_new_payee_day', exposure: 'exposure' } as const;
/** The largest count the desk can hold. */
const COUNT_MAX = 4_294_967_295;

/** A budget with no limit at all, which is not one yet. */
export function blankBudget(): BudgetForm {
  return {
    per_payment: null, per_hour: null, per_day: null, per_week: null, per_month: null, lifetime: null,
    per_payee_day: null, per_new_payee_day: null, exposure: null, max_count_hour: null, hours: null,
    over_payment: 'ask', new_payee: 'ask', zone: '', expires_at: null,
  };
}

/** A small, cautious budget to start from. */
export function firstBudget(): BudgetForm {
  return { ...blankBudget(), per_payment: '0.25', per_day: '5.00' };
}

/** What several agents may spend together, to start from; whom they pay is left to their own. */
export function firstShared(): BudgetForm {
  return { ...blankBudget(), per_day: '10.00', new_payee: 'allow' };
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
  const sums = { hour: '', payeeDay: '', newPayeeDay: '', exposure: '' };
  for (const sum of SUMS) sums[sum] = editable(form[SUM_KEYS[sum]]);
  return {
    lead: WINDOWS.find((window) => limits[window] !== '') ?? 'day',
    limits,
    sums,
    perPayment: editable(form.per_payment),
    overPayment: form.over_payment,
    newPayee: form.new_payee,
    countHour: form.max_count_hour ?? '',
    ...hoursParts(form.hours),
    zone: form.zone,
    ends: form.expires_at === null ? '' : lastDate(form.expires_at),
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
  const amounts: [Field, string][] = [
    ...WINDOWS.map((window): [Field, string] => [window, draft.limits[window]]),
    ...SUMS.map((sum): [Field, string] => [sum, draft.sums[sum]]),
    ['perPayment', draft.perPayment],
  ];
  for (const [field, text] of amounts) {
    const fault = amountFault(text);
    if (fault !== null && fault !== 'empty') found.push({ field, fault });
  }
  // Without any limit over time there is no honest worst case.
  if (WINDOWS.every((window) => draft.limits[window].trim() === '')) found.push({ field: draft.lead, fault: 'unbounded' });
  if (!isCount(draft.countHour)) found.push({ field: 'countHour', fault: 'count' });
  const hours = hoursFault(draft.from, draft.until);
  if (hours !== null) found.push({ field: 'hours', fault: hours });
  if (draft.ends !== '') {
    const ends = dateStart(draft.ends, 1);
    if (ends === null || Date.parse(ends) <= nowMs) found.push({ field: 'ends', fault: 'ended' });
  }
  if (!isZone(draft.zone)) found.push({ field: 'zone', fault: 'zone' });
  return found;
}

function isCount(text: string): boolean {
  const typed = text.trim();
  return typed === '' || (/^\d{1,10}$/.test(typed) && Number(typed) <= COUNT_MAX);
}

function isZone(zone: string): boolean {
  const typed = zone.trim();
  if (typed === '') return true;
  // The browser takes offsets too; the desk wants a place, whose clocks can change.
  if (/^[+-]/.test(typed)) return false;
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: typed }));
  } catch {
    return false;
  }
}

/** Closes a draft without faults. The end keeps its old moment when its date was not touched. */
export function formOf(draft: Draft, saved?: BudgetForm): BudgetForm {
  const limit = (text: string): string | null => (text.trim() === '' ? null : canonical(text));
  const untouched = saved !== undefined && saved.expires_at !== null && lastDate(saved.expires_at) === draft.ends;
  return {
    per_payment: limit(draft.perPayment),
    per_hour: limit(draft.sums.hour),
    per_day: limit(draft.limits.day),
    per_week: limit(draft.limits.week),
    per_month: limit(draft.limits.month),
    lifetime: limit(draft.limits.lifetime),
    per_payee_day: limit(draft.sums.payeeDay),
    per_new_payee_day: limit(draft.sums.newPayeeDay),
    exposure: limit(draft.sums.exposure),
    max_count_hour: draft.countHour.trim() === '' ? null : String(Number(draft.countHour.trim())),
    hours: hoursOf(draft.from, draft.until),
    over_payment: draft.overPayment,
    new_payee: draft.newPayee,
    zone: draft.zone.trim(),
    // A budget that ends on a day still holds on that day.
    expires_at: draft.ends === '' ? null : untouched ? saved.expires_at : dateStart(draft.ends, 1),
  };
}

/** One thing that a change gives more room; `from` and `to` are amounts, words or null for none. */
export interface Raise {
  field: Field | 'overPayment' | 'newPayee';
  from: string | null;
  to: string | null;
}

/** What a new budget allows beyond the old one. */
export function raises(saved: BudgetForm, next: BudgetForm): Raise[] {
  const found: Raise[] = [];
  const limit = (field: Field, from: string | null, to: string | null): void => {
    const [before, after] = [from === null ? null : toUnits(from), to === null ? null : toUnits(to)];
    if (before !== null && (after === null || after > before)) found.push({ field, from, to });
  };
  limit('perPayment', saved.per_payment, next.per_payment);
  for (const window of WINDOWS) limit(window, saved[KEYS[window]], next[KEYS[window]]);
  for (const sum of SUMS) limit(sum, saved[SUM_KEYS[sum]], next[SUM_KEYS[sum]]);
  limit('countHour', saved.max_count_hour, next.max_count_hour);
  if (!within(next.hours, saved.hours)) found.push({ field: 'hours', from: saved.hours, to: next.hours });
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
  const sums = (form: BudgetForm): (string | null)[] =>
    [
      form.per_payment, ...WINDOWS.map((window) => form[KEYS[window]]), ...SUMS.map((sum) => form[SUM_KEYS[sum]]), form.max_count_hour,
    ].map((x) => (x === null ? null : canonical(x)));
  const key = (form: BudgetForm): string => JSON.stringify([...sums(form), form.over_payment, form.new_payee, form.zone, form.expires_at]);
  return key(a) === key(b) && sameHours(a.hours, b.hours);
}
