import { randomBytes } from 'node:crypto';
import { ServiceError } from '../aws-front/service-error';

/** Quotas. Source: CloudFront developer guide, "Invalidate files", "Quotas on invalidations". */
const MAX_PATHS = 3000;
const MAX_WILDCARDS = 15;
const TAG = /^[\x21-\x2b\x2d-\x7e]{1,256}$/;

/** The items of an invalidation, ready to be compared with objects. */
export interface InvalidationTargets {
  /** Paths with their query strings, exactly. */
  readonly paths: ReadonlySet<string>;
  /** Beginnings of paths: items that end in `*`, without it. */
  readonly prefixes: readonly string[];
  /** In lower case. */
  readonly tags: ReadonlySet<string>;
}

/**
 * Reads the items of `CreateInvalidation`: a path (leading slash optional), a path that ends in the wildcard `*`, or
 * `#` and a cache tag. A `*` elsewhere is an ordinary character.
 *
 * @throws ServiceError InvalidArgument or TooManyInvalidationsInProgress, naming the item.
 */
export function parseInvalidation(items: readonly string[]): InvalidationTargets {
  if (items.length === 0) throw new ServiceError('InvalidArgument', 'an invalidation names at least one path or tag');
  if (items.length > MAX_PATHS) {
    throw new ServiceError('TooManyInvalidationsInProgress', `${items.length} paths; at most ${MAX_PATHS} are allowed`);
  }
  const [paths, tags, prefixes] = [new Set<string>(), new Set<string>(), [] as string[]];
  for (const item of items) {
    if (item.startsWith('#')) tags.add(tagOf(item));
    else if (item.endsWith('*')) prefixes.push(absolute(item.slice(0, -1)));
    else paths.add(absolute(item));
  }
  if (prefixes.length > MAX_WILDCARDS) {
    throw new ServiceError(
      'TooManyInvalidationsInProgress',
      `${prefixes.length} wildcard paths; at most ${MAX_WILDCARDS} are allowed`,
    );
  }
  return { paths, prefixes, tags };
}

/** Whether an invalidation means an object. */
export function invalidates(targets: InvalidationTargets, path: string, tags: readonly string[]): boolean {
  return (
    targets.paths.has(path) ||
    targets.prefixes.some((prefix) => path.startsWith(prefix)) ||
    tags.some((tag) => targets.tags.has(tag))
  );
}

/** The moment a fill began, before it asked the origin. */
export interface FillTicket {
  readonly sequence: number;
}

/**
 * The invalidations that fills under way may have missed. An answer that was asked for before an invalidation may be
 * the very thing that was invalidated, so it is neither stored nor given to requests that came after.
 */
export class InvalidationLog {
  private sequence = 0;
  private readonly open = new Set<FillTicket>();
  private recent: { readonly sequence: number; readonly targets: InvalidationTargets }[] = [];

  /** To be called before the origin is asked; every ticket must be ended. */
  begin(): FillTicket {
    const ticket = { sequence: this.sequence };
    this.open.add(ticket);
    return ticket;
  }

  end(ticket: FillTicket): void {
    this.open.delete(ticket);
    const oldest = Math.min(this.sequence, ...[...this.open].map(({ sequence }) => sequence));
    this.recent = this.recent.filter(({ sequence }) => sequence > oldest);
  }

  record(targets: InvalidationTargets): void {
    this.sequence += 1;
    if (this.open.size > 0) this.recent.push({ sequence: this.sequence, targets });
  }

  /** @param tags of the answer; `undefined` while they are unknown: any tag's invalidation may then mean it */
  overtook(ticket: FillTicket, path: string, tags: readonly string[] | undefined): boolean {
    return this.recent.some(
      ({ sequence, targets }) =>
        sequence > ticket.sequence &&
        (invalidates(targets, path, tags ?? []) || (tags === undefined && targets.tags.size > 0)),
    );
  }
}

/** An invalidation as the API tells of it. */
export interface Invalidation {
  readonly id: string;
  readonly createTime: Date;
  readonly callerReference: string;
  readonly items: readonly string[];
}

/** A distribution's invalidations; each is complete as soon as it is made. */
export class InvalidationHistory {
  private readonly byReference = new Map<string, Invalidation>();

  constructor(
    private readonly now: () => number,
    private readonly apply: (targets: InvalidationTargets) => void,
  ) {}

  /**
   * Applies an invalidation. The same caller reference with the same items gives back the first one.
   *
   * @throws ServiceError InvalidationBatchAlreadyExists for a caller reference that came with other items.
   */
  create(callerReference: string, items: readonly string[]): Invalidation {
    const known = this.byReference.get(callerReference);
    if (known) {
      if (JSON.stringify(known.items) === JSON.stringify(items)) return known;
      throw new ServiceError('InvalidationBatchAlreadyExists', `caller reference ${callerReference} named other paths`);
    }
    const targets = parseInvalidation(items);
    const id = `I${randomBytes(7).toString('hex').toUpperCase()}`;
    const invalidation = { id, createTime: new Date(this.now()), callerReference, items: [...items] };
    this.byReference.set(callerReference, invalidation);
    this.apply(targets);
    return invalidation;
  }

  find(id: string): Invalidation | undefined {
    return this.newestFirst().find((invalidation) => invalidation.id === id);
  }

  newestFirst(): Invalidation[] {
    return [...this.byReference.values()].reverse();
  }
}

function tagOf(item: string): string {
  const tag = item.slice(1);
  if (!TAG.test(tag)) {
    throw new ServiceError(
      'InvalidArgument',
      `cache tag ${item} must be # and 1-256 characters, ASCII 33-126 without commas`,
    );
  }
  return tag.toLowerCase();
}

function absolute(path: string): string {
  return path.startsWith('/') ? path : `/${path}`;
}
