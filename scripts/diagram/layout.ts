import { type Architecture, type Link, type Part, regionsAt } from './architecture';
import { detourOf, type Point, placesOf } from './composition';
import type { Place } from './roles';

/** Pixels of a column, of a row, and around everything. */
const CELL = { width: 204, height: 96 };
const MARGIN = 16;
/** Pixels of a letter of 13 pixels, bold, and of one of 11 pixels: an upper bound for Helvetica's average. */
const LETTER = { title: 7.1, line: 5.3 };
/** Pixels between arrows that lead to and fro. */
const LANES = 18;

/** A rectangle by its centre, in pixels. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface PlacedPart extends Part {
  readonly box: Box;
}

export type Corners = readonly [Point, Point, ...Point[]];

export interface PlacedLink extends Link {
  /** Corners from the edge of one box to that of the other. */
  readonly corners: Corners;
  /** The label's place, if it has one. */
  readonly text: Box | undefined;
}

type Stretch = readonly [Point, Point];

/** The straight lines that an arrow is made of. */
export function stretchesOf(corners: Corners): Stretch[] {
  return corners.slice(1).map((end, index): Stretch => [corners[index] ?? end, end]);
}

/** Whether two boxes have a point in common. */
export function overlaps(one: Box, other: Box): boolean {
  const isNear = (distance: number, sizes: number) => Math.abs(distance) < sizes / 2;
  return isNear(one.x - other.x, one.width + other.width) && isNear(one.y - other.y, one.height + other.height);
}

/** Whether a line goes through a box (Liang and Barsky's clipping). */
export function crosses([start, end]: Stretch, box: Box): boolean {
  const [least, most] = [corner(box, -1), corner(box, 1)];
  let [enter, leave] = [0, 1];
  for (const axis of ['x', 'y'] as const) {
    const step = end[axis] - start[axis];
    const [a, b] = [least[axis] - start[axis], most[axis] - start[axis]];
    if (step === 0) {
      if (a >= 0 || b <= 0) return false;
    } else {
      enter = Math.max(enter, Math.min(a / step, b / step));
      leave = Math.min(leave, Math.max(a / step, b / step));
    }
  }
  return leave - enter > 1e-6;
}

function lengthOf([start, end]: Stretch): number {
  return Math.hypot(end.x - start.x, end.y - start.y);
}

export interface PlacedGroup {
  readonly title: string;
  readonly box: Box;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly groups: readonly PlacedGroup[];
  readonly parts: readonly PlacedPart[];
  readonly links: readonly PlacedLink[];
}

/** Puts everything in its place, in pixels. */
export function layoutOf(architecture: Architecture): Layout {
  const places = placesOf(architecture.parts.map(({ key }) => key));
  const parts = architecture.parts.map((part) => ({ ...part, box: boxOf(part, places.get(part.key)) }));
  const links = placedLinks(architecture.links, parts);
  const groups = groupsOf(architecture, parts);
  const points = [
    ...links.flatMap(({ corners }) => corners),
    ...[...groups, ...parts].flatMap(({ box }) => [corner(box, -1), corner(box, 1)]),
  ];
  return {
    width: Math.ceil(Math.max(...points.map(({ x }) => x))) + MARGIN,
    height: Math.ceil(Math.max(...points.map(({ y }) => y))) + MARGIN,
    groups,
    parts,
    links,
  };
}

function toPixels({ x, y }: Point): Point {
  return { x: MARGIN + (x + 0.5) * CELL.width, y: MARGIN + 30 + y * CELL.height };
}

function boxOf({ title, lines }: Part, place: Point = { x: 0, y: 0 }): Box {
  const letters = [title.length * LETTER.title, ...lines.map((line) => line.length * LETTER.line)];
  return { ...toPixels(place), width: Math.max(...letters) + 22, height: 32 + lines.length * 13 };
}

/** The upper left (-1) or lower right (1) corner. */
function corner({ x, y, width, height }: Box, side: -1 | 1): Point {
  return { x: x + (side * width) / 2, y: y + (side * height) / 2 };
}

function placedLinks(links: readonly Link[], parts: readonly PlacedPart[]): PlacedLink[] {
  const boxNamed = (name: string): Box => {
    const part = parts.find(({ key }) => key === name);
    if (!part) throw new Error(`there is no part ${name}`);
    return part.box;
  };
  const lines = links.map((link) => {
    const isTwoWay = links.some((other) => other.from === link.to && other.to === link.from);
    const corners = cornersOf(link, [boxNamed(link.from), boxNamed(link.to)], isTwoWay ? LANES / 2 : 0);
    return { ...link, isTwoWay, corners };
  });
  const boxes = parts.map(({ box }) => box);
  return lines.map((line) => {
    const others = lines.filter((other) => other !== line).flatMap(({ corners }) => stretchesOf(corners));
    return { ...line, text: line.label === '' ? undefined : textOf(line, others, boxes) };
  });
}

function cornersOf(link: Link, [from, to]: readonly [Box, Box], aside: number): Corners {
  const between = detourOf(link.from, link.to).map(toPixels);
  const [first, last] = [between[0], between.at(-1)];
  if (!first || !last) return straight(from, to, aside);
  return [nearest(from, first), first, ...between.slice(1), nearest(to, last)];
}

/** Over the longest level stretch that is long enough, else to the right of the longest one; where it is free. */
function textOf(
  { label, corners, isTwoWay }: Pick<PlacedLink, 'label' | 'corners'> & { readonly isTwoWay: boolean },
  others: readonly Stretch[],
  boxes: readonly Box[],
): Box {
  const [width, height] = [label.length * LETTER.line, 13];
  const stretches = stretchesOf(corners);
  const level = stretches.filter((stretch) => stretch[0].y === stretch[1].y && lengthOf(stretch) >= width);
  const [start, end] = (level.length > 0 ? level : stretches).reduce((longest, other) =>
    lengthOf(other) > lengthOf(longest) ? other : longest,
  );
  const places = [0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8].map((share): Box => {
    const point = { x: start.x + (end.x - start.x) * share, y: start.y + (end.y - start.y) * share };
    if (start.y !== end.y) return { ...point, x: point.x + 6 + width / 2, width, height };
    // Of arrows to and fro, each has its label on its outer side.
    const isBelow = isTwoWay && end.x > start.x;
    return { ...point, y: point.y + (isBelow ? 9 : -9), width, height };
  });
  const isFree = (place: Box) =>
    !others.some((stretch) => crosses(stretch, place)) && !boxes.some((box) => overlaps(box, place));
  return places.find(isFree) ?? (places[0] as Box);
}

/** The point of a box's edge that is nearest to one outside: an arrow from there is upright or level where it can be. */
function nearest(box: Box, { x, y }: Point): Point {
  const [least, most] = [corner(box, -1), corner(box, 1)];
  return { x: Math.min(Math.max(x, least.x), most.x), y: Math.min(Math.max(y, least.y), most.y) };
}

/** A line between the centres, cut off at the edges and moved to its right by `aside`. */
function straight(from: Box, to: Box, aside: number): [Point, Point] {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy);
  const [ax, ay] = [(-dy / length) * aside, (dx / length) * aside];
  const cut = ({ x, y, width, height }: Box, sign: 1 | -1): Point => {
    const share = Math.min(width / 2 / Math.abs(dx || 1e-9), height / 2 / Math.abs(dy || 1e-9));
    return { x: x + sign * dx * share + ax, y: y + sign * dy * share + ay };
  };
  return [cut(from, 1), cut(to, -1)];
}

/** The names, or where they are many the first and how many others there are. */
function listed(names: readonly string[]): string {
  const first = names.length > 5 ? names.slice(0, 4) : names;
  const others = names.length - first.length;
  return [...first, ...(others === 0 ? [] : [`and ${others} others`])].join(', ');
}

function groupsOf(architecture: Architecture, parts: readonly PlacedPart[]): PlacedGroup[] {
  const titles: readonly [Place, string][] = [
    ['global', 'global'],
    ['home', `home: ${regionsAt(architecture, 'home').join(', ')}`],
    ['edge', `each edge region: ${listed(regionsAt(architecture, 'edge').toSorted())}`],
  ];
  return titles.flatMap(([place, title]) => {
    const boxes = parts.filter((part) => part.place === place).map(({ box }) => box);
    if (boxes.length === 0) return [];
    const least = boxes.map((box) => corner(box, -1));
    const most = boxes.map((box) => corner(box, 1));
    const [left, right] = [Math.min(...least.map(({ x }) => x)) - 14, Math.max(...most.map(({ x }) => x)) + 14];
    const [top, bottom] = [Math.min(...least.map(({ y }) => y)) - 30, Math.max(...most.map(({ y }) => y)) + 14];
    return [
      { title, box: { x: (left + right) / 2, y: (top + bottom) / 2, width: right - left, height: bottom - top } },
    ];
  });
}
