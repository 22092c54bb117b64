import type { ActivityFilter, ActivityRow, Problem } from '../host/generated/types';
import { asProblem, type Host } from '../host/host';

/** How many rows one question asks for; the desk answers at most 200. */
const PAGE_ROWS = 100;

/** Activity under a filter: the pages seen so far, kept fresh at the top. */
export class ActivityPages {
  rows = $state.raw<ActivityRow[]>([]);
  total = $state(0);
  /** Whether there are exactly `total`, and not that many or more. */
  exact = $state(true);
  cursor = $state<string | null>(null);
  problem = $state.raw<Problem | undefined>(undefined);
  /** Whether the first page has come. */
  asked = $state(false);
  loadingMore = $state(false);

  #host: Host;
  #filter: ActivityFilter;
  #turn = 0;
  #refreshing = false;
  #again = false;

  constructor(host: Host, filter: ActivityFilter) {
    this.#host = host;
    this.#filter = filter;
  }

  /** Starts over with another filter. Answers to the old one are dropped. */
  async show(filter: ActivityFilter): Promise<void> {
    this.#filter = filter;
    const turn = ++this.#turn;
    try {
      const page = await this.#host.call('activity', { filter, cursor: null, limit: PAGE_ROWS });
      if (turn !== this.#turn) return;
      this.rows = page.rows;
      this.total = page.total;
      this.exact = page.total_is_exact;
      this.cursor = page.next_cursor;
      this.problem = undefined;
    } catch (thrown) {
      if (turn === this.#turn) this.problem = asProblem(thrown);
    }
    this.asked = true;
  }

  /** Asks for the next page. */
  async more(): Promise<void> {
    if (this.cursor === null || this.loadingMore) return;
    const turn = this.#turn;
    this.loadingMore = true;
    try {
      const page = await this.#host.call('activity', { filter: this.#filter, cursor: this.cursor, limit: PAGE_ROWS });
      if (turn !== this.#turn) return;
      this.rows = merge(this.rows, page.rows);
      this.total = page.total;
      this.exact = page.total_is_exact;
      this.cursor = page.next_cursor;
    } catch (thrown) {
      if (turn === this.#turn) this.problem = asProblem(thrown);
    } finally {
      this.loadingMore = false;
    }
  }

  /** Asks for the top again after a change; rows further down keep their place. */
  async refresh(): Promise<void> {
    if (this.#refreshing) {
      this.#again = true;
      return;
    }
    this.#refreshing = true;
    do {
      this.#again = false;
      await this.#refreshOnce();
    } while (this.#again);
    this.#refreshing = false;
  }

  async #refreshOnce(): Promise<void> {
    const turn = this.#turn;
    const limit = Math.min(200, Math.max(PAGE_ROWS, this.rows.length));
    try {
      const page = await this.#host.call('activity', { filter: this.#filter, cursor: null, limit });
      if (turn !== this.#turn) return;
      const known = new Set(page.rows.map((row) => row.payment_id));
      const oldest = Date.parse(page.rows.at(-1)?.at ?? '');
      // What lies below the answer stays; what the answer should have had and has not is gone.
      const below =
        page.next_cursor === null ? [] : this.rows.filter((row) => !known.has(row.payment_id) && Date.parse(row.at) <= oldest);
      this.rows = [...page.rows, ...below];
      if (below.length === 0) this.cursor = page.next_cursor;
      this.total = page.total;
      this.exact = page.total_is_exact;
      this.problem = undefined;
    } catch (thrown) {
      if (turn === this.#turn) this.problem = asProblem(thrown);
    }
  }
}

function merge(above: readonly ActivityRow[], below: readonly ActivityRow[]): ActivityRow[] {
  const known = new Set(above.map((row) => row.payment_id));
  return [...above, ...below.filter((row) => !known.has(row.payment_id))];
}
