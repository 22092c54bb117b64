import { describe, expect, test } from 'vitest';
import { draftOf, faults, firstBudget, formOf, raises, sameBudget, withLead } from '../src/lib/budget';

const NOW = Date.parse('2026-11-22T13:00:00Z');
const scout = { ...firstBudget(), per_month: '60', per_payment: '0.25' };

describe('the budget sentence', () => {
  test('opens with the shortest span and closes to the same budget', () => {
    const draft = draftOf(scout);
    expect(draft.lead).toBe('day');
    expect(draft.limits).toEqual({ day: '5.00', week: '', month: '60.00', lifetime: '' });
    expect(sameBudget(formOf(draft, scout), scout)).toBe(true);
  });

  test('takes the sum along to another span, unless that has its own', () => {
    const week = withLead(draftOf(scout), 'week');
    expect(week.limits).toMatchObject({ day: '', week: '5.00', month: '60.00' });
    const month = withLead(draftOf(scout), 'month');
    expect(month.limits).toMatchObject({ day: '5.00', month: '60.00' });
  });

  test('zero stays zero and empty stays no limit', () => {
    const form = formOf({ ...draftOf(scout), perPayment: '0', limits: { day: '0.00', week: '', month: '', lifetime: '' } });
    expect(form.per_payment).toBe('0');
    expect(form.per_day).toBe('0');
    expect(form.per_month).toBeNull();
  });

  test.each([
    ['5,00', 'comma'], ['five', 'form'], ['-5', 'form'], ['1e2', 'form'],
  ])('%s is a fault: %s', (day, fault) => {
    const draft = draftOf(scout);
    expect(faults({ ...draft, limits: { ...draft.limits, day } }, NOW)).toEqual([{ field: 'day', fault }]);
  });

  test('needs at least one limit over time', () => {
    const draft = { ...draftOf(scout), limits: { day: ' ', week: '', month: '', lifetime: '' } };
    expect(faults(draft, NOW)).toEqual([{ field: 'day', fault: 'unbounded' }]);
  });

  test('refuses a past end and an unknown zone', () => {
    const draft = draftOf(scout);
    expect(faults({ ...draft, ends: '2026-11-20' }, NOW)).toEqual([{ field: 'ends', fault: 'ended' }]);
    expect(faults({ ...draft, ends: '2027-02-22' }, NOW)).toEqual([]);
    expect(faults({ ...draft, zone: 'Europe/Atlantis' }, NOW)).toEqual([{ field: 'zone', fault: 'zone' }]);
    expect(faults({ ...draft, zone: 'Europe/Amsterdam' }, NOW)).toEqual([]);
  });

  test('an end that was not touched keeps its moment', () => {
    const ending = { ...scout, expires_at: '2027-02-22T09:30:00Z' };
    expect(formOf(draftOf(ending), ending).expires_at).toBe(ending.expires_at);
  });

  test('says what is raised, and nothing else', () => {
    expect(raises(scout, { ...scout, per_payment: '0.10', per_day: '4' })).toEqual([]);
    expect(raises(scout, { ...scout, per_payment: '0.5' })).toEqual([{ field: 'perPayment', from: '0.25', to: '0.5' }]);
    expect(raises(scout, { ...scout, per_month: null })).toEqual([{ field: 'month', from: '60', to: null }]);
    expect(raises({ ...scout, over_payment: 'deny' }, scout)).toEqual([{ field: 'overPayment', from: 'deny', to: 'ask' }]);
    expect(raises(scout, { ...scout, new_payee: 'allow' })).toEqual([{ field: 'newPayee', from: 'ask', to: 'allow' }]);
    expect(raises({ ...scout, expires_at: '2027-01-01T00:00:00Z' }, scout)).toEqual([{ field: 'ends', from: '2027-01-01T00:00:00Z', to: null }]);
    // 10 is more than 9, though not as text.
    expect(raises({ ...scout, per_day: '9' }, { ...scout, per_day: '10' })).toHaveLength(1);
  });
});
