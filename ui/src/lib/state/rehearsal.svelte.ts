import type { BudgetForm, Problem, RehearsalView } from '../host/generated/types';
import { asProblem, type Host } from '../host/host';

/** How long typing rests before the desk rehearses. */
export const TYPING_MS = 300;
/** How far back it looks. */
export const DAYS = 30;

/**
 * What a budget would have done with an agent's last days, while the budget is being written.
 *
 * One question is under way at a time; while an answer is awaited the last one stays, marked as
 * old, so that nothing on the screen jumps.
 */
export class Rehearsal {
  value = $state.raw<RehearsalView | undefined>(undefined);
  problem = $state.raw<Problem | undefined>(undefined);
  /** Whether what is shown is not, or no longer, about the last budget. */
  old = $state(true);

  #host: Host;
  #agent: string;
  #turn = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(host: Host, agent: string) {
    this.#host = host;
    this.#agent = agent;
  }

  /** Rehearses this budget, soon; none while the form has faults. */
  show(budget: BudgetForm | undefined, afterMs = TYPING_MS): void {
    this.stop();
    this.old = true;
    if (budget === undefined) return;
    const turn = this.#turn;
    this.#timer = setTimeout(() => void this.#ask(budget, turn), afterMs);
  }

  /** Drops what is under way. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#turn += 1;
  }

  async #ask(budget: BudgetForm, turn: number): Promise<void> {
    try {
      const value = await this.#host.call('rehearse', { agent: this.#agent, budget, days: DAYS });
      if (turn !== this.#turn) return;
      this.value = value;
      this.problem = undefined;
    } catch (thrown) {
      if (turn !== this.#turn) return;
      this.problem = asProblem(thrown);
    }
    this.old = false;
  }
}
