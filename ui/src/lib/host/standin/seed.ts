import type { BudgetForm } from '../generated/types';
import type { StandinDesk } from './desk';

const budget = (form: Partial<BudgetForm>): BudgetForm => ({
  per_payment: null, per_day: null, per_week: null, per_month: null, lifetime: null,
  over_payment: 'ask', new_payee: 'ask', zone: '', expires_at: null, ...form,
});

/** The passphrase of every seeded vault. */
export const SEED_PASSPHRASE = 'correct horse battery staple';

/** Fills a desk: nothing, a month of work, the same but locked, or an open desk without agents. */
export function seed(desk: StandinDesk, name: string | null): void {
  if (name === null || name === 'new') return;
  desk.openWith(SEED_PASSPHRASE);
  if (name === 'empty') return;
  month(desk, name === 'long' ? 420 : 40);
  if (name === 'locked') void desk.run('lock', {});
}

function month(desk: StandinDesk, count: number): void {
  const now = Date.now();
  const minute = 60_000;
  desk.addAgent('Scout', 'L3', budget({ per_payment: '0.25', per_day: '5', per_month: '60' }));
  desk.addAgent('Archivist', 'L3', budget({ per_payment: '0.5', per_day: '1', per_month: '10' }));
  desk.addAgent('Night shift', 'L2', budget({ per_payment: '1', per_day: '4', per_month: '20', over_payment: 'deny' }));
  const settled = (agent: string, what: string, amount: string, minutesAgo: number, payee?: string): void => {
    const at = now - minutesAgo * minute;
    settleNow(desk, agent, what, amount, at, payee);
  };
  // The history runs well below each day's limit, oldest first.
  const goods = ['Freight index', 'Weather, Rotterdam', 'Customs tariff', 'Company register extract', 'Port calls'];
  for (let i = count; i > 0; i--) {
    const steps = ['0.0042', '0.01', '0.12', '0.25', '0.2'];
    settled(i % 3 === 0 ? 'Archivist' : 'Scout', goods[i % goods.length] ?? '', steps[i % steps.length] ?? '0.01', 30 + i * 610);
  }
  settled('Scout', 'Freight index', '0.0042', 7);
  settled('Scout', 'Freight index', '0.0042', 6.9);
  desk.ask({ agent: 'Night shift', what: 'Model weights', amount: '4', payee: 'bulk.example', at: now - 4.3 * minute });
  settled('Scout', 'Weather, Rotterdam', '0.01', 1.2);
  desk.ask({ agent: 'Archivist', what: 'Scan page 18', amount: '0.05', at: now - 65_000 });
  settled('Scout', 'Customs tariff, chapter 84', '0.2', 0.4);
  desk.ask({
    agent: 'Scout', what: 'Supplier price list', amount: '0.6', at: now - 12_000, task: 'Compare five suppliers',
    purpose: 'needed for the comparison table, cheaper than the full export',
    changes: ['Price is up 33 %: 0.45 → 0.60 since Friday.', 'The address is unchanged.'],
  });
}

function settleNow(desk: StandinDesk, agent: string, what: string, amount: string, at: number, payee?: string): void {
  const row = desk.ask({ agent, what, amount, at, ...(payee === undefined ? {} : { payee }) });
  desk.settle(row.payment_id, at + 1500);
}
