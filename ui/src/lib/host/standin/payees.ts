import type { PayeeView } from '../generated/types';
import { decimal } from './rules';

/** What the stand-in knows of one payment. */
export interface Paid {
  payee: string;
  payTo: string;
  url: string;
  what: string;
  amount: bigint;
  at: string;
}

/** The payees of what has settled; the latest payee comes first. */
export function payeesOf(settled: readonly Paid[], asset: string, signals: (payee: string) => number): PayeeView[] {
  const by = new Map<string, Paid[]>();
  const oldestFirst = [...settled].sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
  for (const paid of oldestFirst) by.set(paid.payee, [...(by.get(paid.payee) ?? []), paid]);
  const views = [...by].map(([name, all]) => view(name, all, asset, signals(name)));
  return views.sort((one, other) => Date.parse(other.last_seen) - Date.parse(one.last_seen));
}

function view(name: string, all: Paid[], asset: string, signals: number): PayeeView {
  const last = all.at(-1);
  if (last === undefined) throw new Error('a payee is paid at least once');
  const at = (address: string): { pay_to: string; first_seen: string; last_seen: string } => {
    const there = all.filter((paid) => paid.payTo === address);
    return { pay_to: address, first_seen: there[0]?.at ?? last.at, last_seen: there.at(-1)?.at ?? last.at };
  };
  const earlier = [...new Set(all.map((paid) => paid.payTo))].filter((address) => address !== last.payTo).map(at);
  const items = new Map<string, bigint[]>();
  for (const paid of all) {
    const item = new URL(paid.url).pathname;
    items.set(item, [...(items.get(item) ?? []), paid.amount].slice(-10));
  }
  const ends = (prices: bigint[]): { low: string; high: string } => {
    const sorted = [...prices].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    return { low: decimal(sorted[0] ?? 0n), high: decimal(sorted.at(-1) ?? 0n) };
  };
  return {
    origin: new URL(last.url).origin, name, pay_to: last.payTo, earlier, first_seen: at(last.payTo).first_seen, last_seen: last.at,
    paid: decimal(all.reduce((sum, paid) => sum + paid.amount, 0n)), last_amount: decimal(last.amount), last_what: last.what, asset,
    ...ends([...items.values()].flat()),
    prices: [...items].map(([item, prices]) => ({ item, ...ends(prices), last: decimal(prices.at(-1) ?? 0n), times: prices.length })),
    signals,
  };
}
