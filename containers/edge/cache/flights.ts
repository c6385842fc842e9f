import { type Fill, type FillOne, type Fills, forOne } from './fills';
import { Flight, type FlightGroup, type FlightParts } from './flight';
import type { InvalidationIndex } from './invalidation-index';
import type { Tiers } from './tiers';
import { TransientMap } from './transient-map';
import type { AnswerReceiver, FillPolicy, Found, Waiter } from './types';

/** What is to be looked for below the memory tier. */
export interface LookUp {
  readonly key: string;
  /** What memory holds past its freshness. */
  readonly stale: Found | undefined;
  readonly receiver: AnswerReceiver;
  readonly waiter: Waiter | undefined;
}

/** The look-ups below the memory tier that are under way, one for each key. */
export class Flights {
  readonly #parts: FlightParts;
  readonly #fills: Fills;
  readonly #index: InvalidationIndex;
  readonly #underWay = new TransientMap<Flight>();

  constructor(parts: Omit<FlightParts, 'onSettled'>, fills: Fills, index: InvalidationIndex) {
    const onSettled = (flight: Flight): void => {
      if (this.#underWay.get(flight.key) === flight) this.#underWay.delete(flight.key);
    };
    this.#parts = { ...parts, onSettled };
    this.#fills = fills;
    this.#index = index;
  }

  /** Looks one key up, or shares the look-up of another request. */
  lookUp(lookUp: LookUp, fill: FillOne, policy: FillPolicy): void {
    if (this.#joins(lookUp)) return;
    const group = new Solo(this, this.#fills, fill, policy);
    this.#start(lookUp.key, lookUp.stale, group, lookUp).search(this.#parts.tiers.lasting(policy.tiers));
  }

  /** As `lookUp` for many distinct keys, of which those that no tier holds are filled by one call. */
  lookUpMany(lookUps: readonly LookUp[], fill: Fill, policy: FillPolicy): void {
    const group = new Group(this, this.#parts.tiers, this.#fills, fill, policy);
    const own: Flight[] = [];
    for (const lookUp of lookUps) {
      if (!this.#joins(lookUp)) own.push(this.#start(lookUp.key, lookUp.stale, group, lookUp));
    }
    group.fly(own);
  }

  /** Replaces stale entries in the background, each once however many requests have met it. */
  refresh(stale: readonly Found[], fill: Fill, policy: FillPolicy): void {
    const group = new Group(this, this.#parts.tiers, this.#fills, fill, policy);
    const needed = stale.filter(({ entry }) => !this.#joinable(entry.key));
    group.fly(needed.map((found) => this.#start(found.entry.key, found, group, undefined)));
  }

  /** Resolves when what is under way now is over. */
  async landed(): Promise<void> {
    await Promise.all([...this.#underWay.values()].map((flight) => flight.over()));
  }

  #joins(lookUp: LookUp): boolean {
    const flight = this.#joinable(lookUp.key);
    if (flight === undefined) return false;
    this.#parts.counters.collapsed();
    flight.join(lookUp);
    return true;
  }

  #joinable(key: string): Flight | undefined {
    const flight = this.#underWay.get(key);
    if (flight === undefined || flight.filling === undefined) return flight;
    return this.#index.maySee(key, flight.filling.stamp, flight.filling.tagVersion) ? flight : undefined;
  }

  /** A flight that replaces one which this request must not join; the other ends by itself. */
  #start(key: string, stale: Found | undefined, group: FlightGroup, leader: LookUp | undefined): Flight {
    const flight = new Flight(key, stale, this.#parts, group, leader);
    this.#underWay.set(key, flight);
    return flight;
  }
}

/** The flight of a look-up by itself: most end at the first tier, so that it has nothing but what it is for. */
class Solo implements FlightGroup {
  readonly policy: FillPolicy;
  readonly #flights: Flights;
  readonly #fills: Fills;
  readonly #fill: FillOne;

  constructor(flights: Flights, fills: Fills, fill: FillOne, policy: FillPolicy) {
    this.#flights = flights;
    this.#fills = fills;
    this.#fill = fill;
    this.policy = policy;
  }

  searched(flight: Flight): void {
    if (!flight.settled) void this.#fills.fillOne(flight, this.#fill, this.policy);
    else if (flight.stale !== undefined) this.#flights.refresh([flight.stale], forOne(this.#fill), this.policy);
  }
}

/** Flights of one call: once all are searched for, those that found nothing are filled together. */
class Group implements FlightGroup {
  readonly policy: FillPolicy;
  readonly #flights: Flights;
  readonly #tiers: Tiers;
  readonly #fills: Fills;
  readonly #fill: Fill;
  #own: readonly Flight[] = [];
  #searching = 0;

  constructor(flights: Flights, tiers: Tiers, fills: Fills, fill: Fill, policy: FillPolicy) {
    this.#flights = flights;
    this.#tiers = tiers;
    this.#fills = fills;
    this.#fill = fill;
    this.policy = policy;
  }

  fly(own: readonly Flight[]): void {
    this.#own = own;
    this.#searching = own.length;
    const stores = this.#tiers.lasting(this.policy.tiers);
    for (const flight of own) flight.search(stores);
  }

  searched(): void {
    this.#searching -= 1;
    if (this.#searching > 0) return;
    let missing: Flight[] | undefined;
    let stale: Found[] | undefined;
    for (const flight of this.#own) {
      if (!flight.settled) missing = append(missing, flight);
      else if (flight.stale !== undefined) stale = append(stale, flight.stale);
    }
    if (stale !== undefined) this.#flights.refresh(stale, this.#fill, this.policy);
    if (missing !== undefined) void this.#fills.fill(missing, this.#fill, this.policy);
  }
}

function append<T>(list: T[] | undefined, item: T): T[] {
  if (list === undefined) return [item];
  list.push(item);
  return list;
}
