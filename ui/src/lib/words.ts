import type { Raise } from './budget';
import { t } from './messages';
import { shown } from './money';
import type { BudgetNote } from './notes';
import { lastDate } from './time';

/** One raise in words, "per payment 0.25 → 0.50". */
export function raiseWords(raise: Raise): string {
  return t.budget.raise(t.budget.fields[raise.field], valueWords(raise.field, raise.from), valueWords(raise.field, raise.to));
}

function valueWords(field: Raise['field'], value: string | null): string {
  if (value === null) return { ends: t.budget.noEnd, hours: t.budget.allDay }[field as string] ?? t.common.noLimit;
  switch (field) {
    case 'ends':
      return lastDate(value);
    case 'hours':
      return value.replace('-', '–');
    case 'countHour':
      return value;
    case 'newPayee':
      return t.budget.newPayees[value as keyof typeof t.budget.newPayees];
    case 'overPayment':
      return t.budget.overPayment[value as keyof typeof t.budget.overPayment];
    default:
      return shown(value);
  }
}

/** What is worth knowing about a budget, one sentence. */
export function noteWords(note: BudgetNote): string {
  if (note.kind === 'nothing') return t.budget.notes.nothing(t.budget.limitWords[note.limit]);
  if (note.kind === 'above') return t.budget.notes.above(t.budget.limitWords[note.limit], t.budget.limitWords[note.by]);
  return t.budget.notes[note.kind];
}

/** The window a limit runs over, as of now: "today". */
export function windowNow(window: string): string {
  return Object.hasOwn(t.windows.now, window) ? t.windows.now[window as keyof typeof t.windows.now] : window;
}
