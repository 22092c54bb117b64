/** Where the window is, as its hash says: `#/agents/agt_1?payment=pay_2`. */

export type Place =
  | { view: 'desk' }
  | { view: 'agents' }
  | { view: 'new-agent' }
  | { view: 'agent'; agent: string }
  | { view: 'new-shared' }
  | { view: 'shared'; shared: string }
  | { view: 'activity' }
  | { view: 'payees' }
  | { view: 'signals' }
  | { view: 'settings' };

/** Reads a hash; anything unknown is the desk. */
export function parse(hash: string): { place: Place; query: URLSearchParams } {
  const [path = '', search = ''] = hash.replace(/^#\/?/, '').split('?');
  const parts = path.split('/').filter(Boolean).map(decode);
  return { place: placeOf(parts), query: new URLSearchParams(search) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}

function placeOf([first, second]: string[]): Place {
  if (first === 'agents' && second === 'new') return { view: 'new-agent' };
  if (first === 'agents') return second === undefined || second === '' ? { view: 'agents' } : { view: 'agent', agent: second };
  if (first === 'shared' && second !== undefined && second !== '') return second === 'new' ? { view: 'new-shared' } : { view: 'shared', shared: second };
  if (first === 'shared') return { view: 'agents' };
  if (first === 'activity' || first === 'payees' || first === 'signals' || first === 'settings') return { view: first };
  return { view: 'desk' };
}

/** The hash for a place. */
export function hrefOf(place: Place): string {
  if (place.view === 'agent') return `#/agents/${encodeURIComponent(place.agent)}`;
  if (place.view === 'shared') return `#/shared/${encodeURIComponent(place.shared)}`;
  if (place.view === 'new-shared') return '#/shared/new';
  return place.view === 'new-agent' ? '#/agents/new' : `#/${place.view}`;
}

class Router {
  place = $state.raw<Place>({ view: 'desk' });
  /** The payment whose evidence is open. */
  payment = $state<string | null>(null);
  query = $state.raw(new URLSearchParams());

  constructor() {
    this.#read();
    window.addEventListener('hashchange', () => {
      this.#read();
    });
  }

  go(place: Place): void {
    window.location.hash = hrefOf(place);
  }

  /** Opens a payment's evidence over where we are. */
  openEvidence(payment: string): void {
    const query = new URLSearchParams(this.query);
    query.set('payment', payment);
    window.location.hash = `${hrefOf(this.place)}?${query.toString()}`;
  }

  closeEvidence(): void {
    if (this.payment === null) return;
    const query = new URLSearchParams(this.query);
    query.delete('payment');
    const rest = query.toString();
    window.location.replace(hrefOf(this.place) + (rest === '' ? '' : `?${rest}`));
  }

  /** One step towards the desk. */
  back(): void {
    if (['agent', 'new-agent', 'shared', 'new-shared'].includes(this.place.view)) this.go({ view: 'agents' });
    else this.go({ view: 'desk' });
  }

  #read(): void {
    const { place, query } = parse(window.location.hash);
    this.place = place;
    this.query = query;
    this.payment = query.get('payment');
  }
}

export const router = new Router();
