import { blankBudget } from '../../budget';
import type { BudgetForm } from '../generated/types';
import type { StandinDesk } from './desk';

const budget = (form: Partial<BudgetForm>): BudgetForm => ({ ...blankBudget(), ...form });

/** The passphrase of every seeded vault. */
export const SEED_PASSPHRASE = 'correct horse battery staple';

/**
 * Fills a desk: nothing, an open desk without agents, a month of work, the same but locked, with
 * every limit and a shared budget, with things that looked odd, or with its clock behind.
 */
export function seed(desk: StandinDesk, name: string | null): void {
  if (name === null || name === 'new') return;
  desk.openWith(SEED_PASSPHRASE);
  if (name === 'empty') return;
  month(desk, name === 'long' ? 420 : 40);
  if (name === 'team') team(desk);
  if (name === 'odd' || name === 'guarded') odd(desk);
  if (name === 'guarded') desk.raise('books_differ', 'the network Practice', 'the books say that Scout’s float holds 21.9268, and the chain says 21.6768 USDC', {}, Date.now() - 240_000);
  if (name === 'clock') desk.setClock(47 * 60);
  if (name === 'locked') void desk.run('lock', {});
}

/** Two shared budgets, one of them nearly used, and an agent with every kind of limit. */
function team(desk: StandinDesk): void {
  desk.addShared('Research', budget({ per_payment: '0.25', per_day: '0.33', per_month: '8', new_payee: 'allow' }));
  desk.addShared('Household', budget({ per_week: '20', new_payee: 'allow' }));
  desk.join('Scout', 'Research');
  desk.join('Archivist', 'Research');
  const scout = desk.agents[0];
  if (!scout) return;
  scout.budget = {
    ...scout.budget, per_hour: '0.26', max_count_hour: '30', per_payee_day: '1', per_new_payee_day: '0.5', exposure: '0.5', hours: '07:00-23:00',
    expires_at: '2027-02-28T23:00:00Z', zone: 'Europe/Amsterdam',
  };
}

/** What looked odd lately: about one payee, one agent, and what is over. */
function odd(desk: StandinDesk): void {
  const ago = (minutes: number): number => Date.now() - minutes * 60_000;
  desk.raise('price_jumped', 'scan.example', 'scan.example asks 0.11 USDC where 0.05 was usual', { payee: 'scan.example' }, ago(31 * 60));
  desk.raise('books_differ', 'the network Practice', 'the books say that Archivist’s float holds 22.4, and the chain says 22.15 USDC', {}, ago(52 * 60));
  desk.agreed('books_differ', {}, ago(50 * 60));
  const [was, is] = ['0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF', '0x6813Eb9362372EEF6200f3b1dbC3f819671cBA69'];
  desk.raise('pay_to_changed', 'prices.example', `https://prices.example asks to be paid at ${is} instead of ${was}`, { payee: 'prices.example' }, ago(42));
  desk.raise('refusal_burst', 'Archivist', 'it was refused three times in ten minutes', { agent: 'agt_2' }, ago(12));
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
