/**
 * What is allowed in a budget but may not be meant, while it is being written. Once it is saved
 * the desk says so itself, by the same rules (`domain::BudgetNote`).
 */
import { SUMS, WINDOWS, type Sum, type Window } from './budget';
import type { BudgetForm } from './host/generated/types';
import { toUnits } from './money';

/** A limit that a note can name. */
export type Limit = Window | Sum | 'perPayment' | 'countHour';

/** One thing worth explaining; `kind` is a key of the catalogue's `budget.notes`. */
export type BudgetNote =
  | { kind: 'nothing'; limit: Limit }
  | { kind: 'above'; limit: Limit; by: Limit }
  | { kind: 'capUnused' | 'capZero' | 'overUnused' | 'wholeDay' };

const WIDER: Partial<Record<Limit, readonly Window[]>> = {
  hour: WINDOWS, payeeDay: WINDOWS, newPayeeDay: WINDOWS, day: ['week', 'month', 'lifetime'], week: ['month', 'lifetime'], month: ['lifetime'],
  exposure: ['lifetime'],
};
/** Every limit that stops payments when it is zero; the cap on new payees only asks. */
const STOPS: readonly Limit[] = ['perPayment', 'hour', ...WINDOWS, 'payeeDay', 'exposure', 'countHour'];
/** Every window that a single payment must fit into. */
const FITS: readonly Limit[] = ['hour', ...WINDOWS, 'payeeDay'];

/** Everything worth explaining in a budget; empty for one that says what it does. */
export function budgetNotes(form: BudgetForm): BudgetNote[] {
  const read = (text: string | null): bigint | null => (text === null ? null : toUnits(text));
  const limits: Record<Limit, bigint | null> = {
    perPayment: read(form.per_payment), hour: read(form.per_hour), day: read(form.per_day), week: read(form.per_week),
    month: read(form.per_month), lifetime: read(form.lifetime), payeeDay: read(form.per_payee_day),
    newPayeeDay: read(form.per_new_payee_day), exposure: read(form.exposure), countHour: read(form.max_count_hour),
  };
  const notes: BudgetNote[] = STOPS.filter((limit) => limits[limit] === 0n).map((limit) => ({ kind: 'nothing', limit }));
  const above = (limit: Limit, others: readonly Limit[]): void => {
    const by = lowestBelow(limits, limit, others);
    if (by !== null) notes.push({ kind: 'above', limit, by });
  };
  above('perPayment', FITS);
  for (const limit of [...SUMS, ...WINDOWS]) above(limit, WIDER[limit] ?? []);
  const cap = limits.newPayeeDay;
  if (cap !== null && form.new_payee !== 'allow') notes.push({ kind: 'capUnused' });
  if (cap === 0n && form.new_payee === 'allow') notes.push({ kind: 'capZero' });
  if (form.over_payment === 'deny' && limits.perPayment === null) notes.push({ kind: 'overUnused' });
  if (form.hours === '00:00-24:00') notes.push({ kind: 'wholeDay' });
  return notes;
}

/** Of these the lowest limit, if it is below that one. */
function lowestBelow(limits: Record<Limit, bigint | null>, limit: Limit, others: readonly Limit[]): Limit | null {
  const own = limits[limit];
  if (own === null) return null;
  let lowest: { limit: Limit; sum: bigint } | null = null;
  for (const other of others) {
    const sum = limits[other];
    if (sum !== null && sum < own && (lowest === null || sum < lowest.sum)) lowest = { limit: other, sum };
  }
  return lowest?.limit ?? null;
}
