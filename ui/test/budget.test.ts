import { describe, expect, test } from 'vitest';
import { blankBudget, draftOf, faults, firstBudget, firstShared, formOf, raises, sameBudget, withLead } from '../src/lib/budget';
import { hoursFault, hoursOf, hoursParts, sameHours, within } from '../src/lib/hours';
import { budgetNotes } from '../src/lib/notes';
import { noteWords, raiseWords } from '../src/lib/words';

const NOW = Date.parse('2026-11-22T13:00:00Z');
const scout = { ...firstBudget(), per_month: '60', per_payment: '0.25' };
/** Every limit there is. */
const full = {
  ...scout, per_hour: '2', per_week: '20', lifetime: '500', per_payee_day: '1', per_new_payee_day: '0.5', exposure: '0.75',
  max_count_hour: '30', hours: '22:00-06:00', new_payee: 'allow', zone: 'Europe/Amsterdam', expires_at: '2027-02-22T23:00:00Z',
};

describe('the budget sentence', () => {
  test('opens with the shortest span and closes to the same budget', () => {
    const draft = draftOf(scout);
    expect(draft.lead).toBe('day');
    expect(draft.limits).toEqual({ day: '5.00', week: '', month: '60.00', lifetime: '' });
    expect(sameBudget(formOf(draft, scout), scout)).toBe(true);
    expect(sameBudget(formOf(draftOf(full), full), full)).toBe(true);
  });

  test('a difference in any one field is a difference', () => {
    for (const [key, value] of Object.entries(full)) {
      const other = { ...full, [key]: value === null ? '1' : value === 'ask' ? 'deny' : { hours: '22:00-07:00', zone: 'UTC', new_payee: 'ask', expires_at: null }[key] ?? '9' };
      expect(sameBudget(full, other), key).toBe(false);
    }
  });

  test('what is not set stays absent, and nothing is set by itself', () => {
    const set = Object.entries(firstBudget()).filter(([, value]) => value !== null && value !== '');
    expect(set.map(([key]) => key).sort()).toEqual(['new_payee', 'over_payment', 'per_day', 'per_payment']);
    expect(formOf(draftOf(firstBudget()))).toEqual({ ...firstBudget(), per_day: '5' });
    expect(formOf(draftOf(firstShared()))).toMatchObject({ per_day: '10', per_payment: null, new_payee: 'allow' });
  });

  test('takes the sum along to another span, unless that has its own', () => {
    const week = withLead(draftOf(scout), 'week');
    expect(week.limits).toMatchObject({ day: '', week: '5.00', month: '60.00' });
    const month = withLead(draftOf(scout), 'month');
    expect(month.limits).toMatchObject({ day: '5.00', month: '60.00' });
  });

  test('zero stays zero and empty stays no limit', () => {
    const draft = draftOf(scout);
    const form = formOf({ ...draft, perPayment: '0', limits: { ...draft.limits, day: '0.00', month: '' }, sums: { ...draft.sums, hour: '0' }, countHour: '0' });
    expect(form).toMatchObject({ per_payment: '0', per_day: '0', per_month: null, per_hour: '0', max_count_hour: '0', exposure: null });
  });

  test.each([
    ['5,00', 'comma'], ['five', 'form'], ['-5', 'form'], ['1e2', 'form'],
  ])('%s is a fault: %s', (text, fault) => {
    const draft = draftOf(scout);
    expect(faults({ ...draft, limits: { ...draft.limits, day: text } }, NOW)).toEqual([{ field: 'day', fault }]);
    for (const sum of ['hour', 'payeeDay', 'newPayeeDay', 'exposure'] as const) {
      expect(faults({ ...draft, sums: { ...draft.sums, [sum]: text } }, NOW)).toEqual([{ field: sum, fault }]);
    }
  });

  test('needs at least one limit over time; a pace is none', () => {
    const draft = draftOf({ ...blankBudget(), per_hour: '1', exposure: '1', per_payee_day: '1', max_count_hour: '3' });
    expect(faults(draft, NOW)).toEqual([{ field: 'day', fault: 'unbounded' }]);
    const blank = { ...draftOf(scout), limits: { day: ' ', week: '', month: '', lifetime: '' } };
    expect(faults(blank, NOW)).toEqual([{ field: 'day', fault: 'unbounded' }]);
  });

  test.each(['-1', '+1', '1.0', '1e3', '0x1', '1 2', '٣', '4294967296', 'many', '12345678901'])('%j is no count', (countHour) => {
    expect(faults({ ...draftOf(scout), countHour }, NOW)).toEqual([{ field: 'countHour', fault: 'count' }]);
  });

  test.each([['', null], [' 12 ', '12'], ['007', '7'], ['0', '0'], ['4294967295', '4294967295']])('%j is a count', (countHour, expected) => {
    const draft = { ...draftOf(scout), countHour };
    expect(faults(draft, NOW)).toEqual([]);
    expect(formOf(draft).max_count_hour).toBe(expected);
  });

  test('refuses a past end and an unknown zone', () => {
    const draft = draftOf(scout);
    expect(faults({ ...draft, ends: '2026-11-20' }, NOW)).toEqual([{ field: 'ends', fault: 'ended' }]);
    expect(faults({ ...draft, ends: '2027-02-22' }, NOW)).toEqual([]);
    for (const zone of ['Europe/Atlantis', '+01:00']) expect(faults({ ...draft, zone }, NOW)).toEqual([{ field: 'zone', fault: 'zone' }]);
    expect(faults({ ...draft, zone: 'Europe/Amsterdam' }, NOW)).toEqual([]);
  });

  test('an end that was not touched keeps its moment', () => {
    const ending = { ...scout, expires_at: '2027-02-22T09:30:00Z' };
    expect(formOf(draftOf(ending), ending).expires_at).toBe(ending.expires_at);
  });
});

describe('what is raised', () => {
  test('is said, and nothing else', () => {
    expect(raises(scout, { ...scout, per_payment: '0.10', per_day: '4' })).toEqual([]);
    expect(raises(scout, { ...scout, per_payment: '0.5' })).toEqual([{ field: 'perPayment', from: '0.25', to: '0.5' }]);
    expect(raises(scout, { ...scout, per_month: null })).toEqual([{ field: 'month', from: '60', to: null }]);
    expect(raises({ ...scout, over_payment: 'deny' }, scout)).toEqual([{ field: 'overPayment', from: 'deny', to: 'ask' }]);
    expect(raises(scout, { ...scout, new_payee: 'allow' })).toEqual([{ field: 'newPayee', from: 'ask', to: 'allow' }]);
    expect(raises({ ...scout, expires_at: '2027-01-01T00:00:00Z' }, scout)).toEqual([{ field: 'ends', from: '2027-01-01T00:00:00Z', to: null }]);
    // 10 is more than 9, though not as text.
    expect(raises({ ...scout, per_day: '9' }, { ...scout, per_day: '10' })).toHaveLength(1);
  });

  test('knows every further limit: taken away or larger is more, set or smaller is not', () => {
    const plain = { ...full, per_hour: null, per_payee_day: null, per_new_payee_day: null, exposure: null, max_count_hour: null, hours: null };
    expect(raises(plain, full)).toEqual([]);
    expect(raises(full, plain).map((raise) => raise.field)).toEqual(['hour', 'payeeDay', 'newPayeeDay', 'exposure', 'countHour', 'hours']);
    expect(raises(full, { ...full, max_count_hour: '31' }).map(raiseWords)).toEqual(['payments per hour 30 → 31']);
    expect(raises(full, { ...full, hours: null }).map(raiseWords)).toEqual(['hours of the day 22:00–06:00 → the whole day']);
    expect(raises(full, { ...full, exposure: null }).map(raiseWords)).toEqual(['open at once 0.75 → no limit']);
  });
});

describe('hours of the day', () => {
  test('are two fields and one text', () => {
    expect(hoursOf('09:00', '18:00')).toBe('09:00-18:00');
    expect(hoursOf('22:00', '06:00')).toBe('22:00-06:00');
    expect(hoursOf('', '')).toBeNull();
    // A time field cannot hold 24:00.
    expect(hoursParts('09:00-24:00')).toEqual({ from: '09:00', until: '00:00' });
    expect(hoursOf('09:00', '00:00')).toBe('09:00-24:00');
    expect(hoursOf('00:00', '00:00')).toBe('00:00-24:00');
    expect(hoursParts(null)).toEqual({ from: '', until: '' });
  });

  test.each([
    ['', '', null], ['09:00', '18:00', null], ['22:00', '06:00', null], ['00:00', '00:00', null], ['09:00', '24:00', null],
    ['09:00', '', 'halfHours'], ['', '18:00', 'halfHours'], ['09:00', '09:00', 'hours'], ['9', '18', 'hours'], ['25:00', '26:00', 'hours'],
    ['24:00', '06:00', 'hours'], ['09:60', '18:00', 'hours'],
  ])('from %j until %j: %s', (from, until, fault) => {
    expect(hoursFault(from, until)).toBe(fault);
    const found = faults({ ...draftOf(scout), from, until }, NOW);
    expect(found).toEqual(fault === null ? [] : [{ field: 'hours', fault }]);
  });

  test('lie within others or not, by every minute of the day', () => {
    const open = (hours: string | null, minute: number): boolean => {
      if (hours === null) return true;
      const [from = 0, until = 0] = hours.split('-').map((time) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3)));
      return from < until ? minute >= from && minute < until : minute >= from || minute < until;
    };
    const all = [null, '09:00-18:00', '10:00-12:00', '09:00-18:01', '22:00-06:00', '23:00-05:00', '05:00-07:00', '00:00-24:00', '18:00-24:00', '18:00-09:00'];
    for (const inner of all) {
      for (const outer of all) {
        const expected = Array.from({ length: 1440 }, (_, minute) => minute).every((minute) => !open(inner, minute) || open(outer, minute));
        expect(within(inner, outer), `${inner} in ${outer}`).toBe(expected);
      }
    }
  });

  test('are the same however midnight is written', () => {
    expect(sameHours('09:00-24:00', '09:00-00:00')).toBe(true);
    expect(sameHours('09:00-18:00', '18:00-09:00')).toBe(false);
    expect(sameHours('00:00-24:00', null)).toBe(false);
    expect(sameHours(null, null)).toBe(true);
  });
});

/** The same cases as `crates/domain/src/notes.rs` has. */
describe('what is worth knowing', () => {
  const blank = blankBudget();

  test('a plain budget needs no explaining', () => {
    const plain = {
      ...blank, per_payment: '10', per_hour: '10', per_day: '10', per_week: '20', per_month: '20', lifetime: '20', per_payee_day: '10',
      per_new_payee_day: '1', exposure: '20', max_count_hour: '1', new_payee: 'allow', over_payment: 'deny', hours: '09:00-18:00',
    };
    for (const form of [blank, plain, firstBudget(), firstShared()]) expect(budgetNotes(form)).toEqual([]);
  });

  test('each limit of zero is named', () => {
    const zero = {
      ...blank, per_payment: '0', per_hour: '0', per_day: '0.00', per_week: '0', per_month: '0', lifetime: '0', per_payee_day: '0', exposure: '0',
      max_count_hour: '0',
    };
    const notes = budgetNotes(zero);
    expect(notes.every((note) => note.kind === 'nothing')).toBe(true);
    expect(notes).toHaveLength(9);
    expect(notes.map(noteWords)[0]).toBe('The limit per payment is zero, so nothing can be paid.');
  });

  test('a limit that another makes useless is named once with the lowest', () => {
    const form = { ...blank, per_payment: '50', per_day: '40', per_week: '30', per_month: '20', per_payee_day: '20', per_new_payee_day: '21', new_payee: 'allow' };
    expect(budgetNotes(form)).toEqual([
      { kind: 'above', limit: 'perPayment', by: 'month' },
      { kind: 'above', limit: 'newPayeeDay', by: 'month' },
      { kind: 'above', limit: 'day', by: 'month' },
      { kind: 'above', limit: 'week', by: 'month' },
    ]);
  });

  test('what has no effect is said', () => {
    expect(budgetNotes({ ...blank, per_new_payee_day: '5' })).toEqual([{ kind: 'capUnused' }]);
    expect(budgetNotes({ ...blank, per_new_payee_day: '0', new_payee: 'allow' })).toEqual([{ kind: 'capZero' }]);
    const form = { ...blank, over_payment: 'deny', exposure: '8', lifetime: '7', hours: '00:00-24:00' };
    expect(budgetNotes(form)).toEqual([{ kind: 'above', limit: 'exposure', by: 'lifetime' }, { kind: 'overUnused' }, { kind: 'wholeDay' }]);
  });

  test('every note is a sentence', () => {
    const forms = [{ ...blank, per_new_payee_day: '5' }, { ...blank, over_payment: 'deny' }, { ...blank, per_day: '2', per_month: '1' }, { ...blank, hours: '00:00-24:00' }];
    for (const words of forms.flatMap(budgetNotes).map(noteWords)) expect(words).toMatch(/^(The|Refusing) .*\.$/);
  });
});
