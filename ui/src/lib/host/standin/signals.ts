import type { SignalView } from '../generated/types';

const HOUR_MS = 3_600_000;
const ACK = 'It ends when you acknowledge it.';

/** What each kind means while it is fresh, how it ends, and whether the owner ends it. */
const KINDS: Record<string, { danger: number; clears: string; ack: boolean }> = {
  price_jumped: { danger: 1, clears: 'It ends by itself after 24 hours without another of its kind.', ack: false },
  price_soared: { danger: 2, clears: ACK, ack: true },
  pay_to_changed: { danger: 2, clears: ACK, ack: true },
  undelivered: { danger: 2, clears: ACK, ack: true },
  refusal_burst: { danger: 2, clears: ACK, ack: true },
  credential_elsewhere: { danger: 3, clears: 'It ends when the agent gets a new token: imprest agent rotate NAME.', ack: false },
  books_differ: { danger: 2, clears: 'It ends by itself one hour after both sides agree again.', ack: false },
  books_broken: { danger: 3, clears: ACK, ack: true },
  rolled_back: { danger: 3, clears: 'Put the right ledger in its place, or acknowledge that this one is right, and start the desk again.', ack: true },
};
const LEVELS = ['calm', 'wary', 'guarded', 'halted'];

/** Whom a signal concerns: everything, one agent by identifier, or one payee by name. */
export interface About {
  agent?: string;
  payee?: string;
}

interface Raised extends About {
  seq: number;
  at: number;
  kind: string;
  subject: string;
  detail: string;
  ack: number | null;
}

/** What looked odd on the stand-in, and the danger it adds up to. */
export class Signals {
  #all: Raised[] = [];

  /** Notes what was seen, unless an open signal says it already. */
  raise(seq: number, kind: string, subject: string, detail: string, about: About, at: number): void {
    if (this.#all.some((one) => this.#isOpen(one, at) && one.kind === kind && one.detail === detail && one.subject === subject)) return;
    this.#all.push({ seq, at, kind, subject, detail, ack: null, ...about });
  }

  /** Ends a signal; false when it is not open, or something else ends it. */
  acknowledge(seq: number, at: number): boolean {
    const found = this.#all.find((one) => one.seq === seq && this.#isOpen(one, at) && KINDS[one.kind]?.ack === true);
    if (found) found.ack = at;
    return found !== undefined;
  }

  /** Ends every signal of these kinds about someone. */
  end(kinds: string[], about: About, at: number): void {
    for (const one of this.#all) {
      if (kinds.includes(one.kind) && one.ack === null && one.agent === about.agent && one.payee === about.payee) one.ack = at;
    }
  }

  /** The danger of a payment by this agent to this payee, or of all payments, and why. */
  danger(about: About, now: number): { danger: number; why: string | null } {
    const active = this.#all.filter(
      (one) => this.#isOpen(one, now) && (one.agent === undefined || one.agent === about.agent) && (one.payee === undefined || one.payee === about.payee),
    );
    const worst = active.sort((a, b) => this.#level(b) - this.#level(a) || b.at - a.at)[0];
    return worst === undefined ? { danger: 0, why: null } : { danger: this.#level(worst), why: worst.detail };
  }

  /** How many are open, whomever they are about. */
  open(now: number): number {
    return this.#all.filter((one) => this.#isOpen(one, now)).length;
  }

  /** As the desk shows them, newest first. */
  views(now: number): SignalView[] {
    return [...this.#all]
      .sort((a, b) => b.at - a.at || b.seq - a.seq)
      .map((one) => {
        const kind = KINDS[one.kind];
        const open = this.#isOpen(one, now);
        return {
          seq: one.seq, at: new Date(one.at).toISOString(), kind: one.kind, level: LEVELS[kind?.danger ?? 0] ?? 'calm', subject: one.subject,
          detail: `${one.detail.charAt(0).toUpperCase()}${one.detail.slice(1)}.`, open, needs_ack: open && kind?.ack === true, clears: kind?.clears ?? '',
          ack_at: one.ack === null ? null : new Date(one.ack).toISOString(),
        };
      });
  }

  #level(one: Raised): number {
    return KINDS[one.kind]?.danger ?? 0;
  }

  #isOpen(one: Raised, now: number): boolean {
    if (one.kind === 'price_jumped') return now - one.at < 24 * HOUR_MS;
    return one.ack === null || (one.kind === 'books_differ' && now - one.ack < HOUR_MS);
  }
}
