import type { CheckedAssembly } from '../../lib/checks/assembly';
import { type Connection, connectionsOf, type Path } from './connections';
import { type Member, membersOf, type Place, type Role } from './roles';

/** A role that resources play: once, however many regions have one. */
export interface Part extends Role {
  readonly regions: readonly string[];
}

/** An arrow between two roles, named by their keys. */
export interface Link {
  readonly from: string;
  readonly to: string;
  readonly path: Path;
  readonly label: string;
}

/** What the picture shows. */
export interface Architecture {
  readonly parts: readonly Part[];
  readonly links: readonly Link[];
}

/** Reads the roles of an assembly's resources and what connects them. */
export function architectureOf(assembly: CheckedAssembly): Architecture {
  const members = membersOf(assembly);
  const connections = connectionsOf(members);
  const used = [...new Set([...members, ...connections.flatMap(({ from, to }) => [from, to])])];
  const parts = grouped(used, ({ role }) => role.key).map(partOf);
  return { parts, links: grouped(connections, pairOf).map((alike) => linkOf(alike, parts)) };
}

/** Regions of the parts at a place. */
export function regionsAt({ parts }: Architecture, place: Place): string[] {
  return unique(parts.filter((part) => part.place === place).flatMap(({ regions }) => regions));
}

function partOf(alike: readonly [Member, ...Member[]]): Part {
  const [{ role }] = alike;
  const lines = unique(alike.flatMap((member) => member.role.lines));
  return { ...role, lines, regions: unique(alike.map(({ region }) => region)).filter((region) => region !== '') };
}

function pairOf({ from, to, path }: Connection): string {
  return [from.role.key, to.role.key, path].join(' ');
}

/** One arrow for connections that are alike. Where only some edge regions have it, its label names them. */
function linkOf(alike: readonly [Connection, ...Connection[]], parts: readonly Part[]): Link {
  const [{ from, to, path }] = alike;
  const label = unique(alike.map((connection) => connection.label)).join(', ');
  const ends = [...alike.map((connection) => connection.from), ...alike.map((connection) => connection.to)];
  const atEdge = ends.filter(({ role }) => role.place === 'edge');
  const regions = unique(atEdge.map(({ region }) => region));
  const possible = parts.filter(({ key }) => atEdge.some(({ role }) => role.key === key));
  const missing = unique(possible.flatMap((part) => part.regions)).filter((region) => !regions.includes(region));
  return { from: from.role.key, to: to.role.key, path, label: `${label} ${whereOf(regions, missing)}`.trim() };
}

/** Names the regions, or those that are missing, whichever are fewer; nothing where none is. */
function whereOf(regions: readonly string[], missing: readonly string[]): string {
  if (missing.length === 0) return '';
  return missing.length < regions.length ? `(all but ${missing.join(', ')})` : `(${regions.join(', ')})`;
}

function grouped<T>(values: readonly T[], keyOf: (value: T) => string): [T, ...T[]][] {
  const groups = new Map<string, [T, ...T[]]>();
  for (const value of values) {
    const group = groups.get(keyOf(value));
    if (group) group.push(value);
    else groups.set(keyOf(value), [value]);
  }
  return [...groups.values()];
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
