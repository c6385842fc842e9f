import type { Point } from './composition';
import type { Path } from './connections';
import type { Box, Layout, PlacedGroup, PlacedLink, PlacedPart } from './layout';

/** Colour and meaning of each kind of arrow. */
const PATHS: Readonly<Record<Path, { readonly colour: string; readonly meaning: string }>> = {
  request: { colour: '#1f5fbf', meaning: 'requests' },
  control: { colour: '#c0561a', meaning: 'invalidation, activation, keys' },
  publishing: { colour: '#2c7a4b', meaning: 'publishing models' },
  health: { colour: '#8a3fa0', meaning: 'health, region scores' },
};

/** Keeps text legible where a line is behind it. */
const HALO = 'paint-order="stroke" stroke="#f7f9fc" stroke-width="3"';

/** Pixels by which the corners of arrows are rounded. */
const ROUNDING = 8;

/** The picture as a document of its own, on white, so that it can be read on any page. */
export function toSvg({ width, height, groups, parts, links }: Layout): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="Helvetica, Arial, sans-serif" font-size="11">`,
    '<defs>',
    ...Object.entries(PATHS).map(
      ([path, { colour }]) =>
        `<marker id="${path}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path d="M0,1 L10,5 L0,9 z" fill="${colour}"/></marker>`,
    ),
    '</defs>',
    '<rect width="100%" height="100%" fill="white"/>',
    ...groups.map(({ box }) => rectangle(box, 'fill="#f7f9fc" stroke="#aab4c4"')),
    ...links.map(lineSvg),
    ...groups.map(titleSvg),
    ...parts.map(partSvg),
    ...links.map(labelSvg),
    legend(),
    '</svg>',
    '',
  ].join('\n');
}

function rectangle({ x, y, width, height }: Box, style: string): string {
  return `<rect x="${round(x - width / 2)}" y="${round(y - height / 2)}" width="${round(width)}" height="${round(height)}" rx="8" ${style}/>`;
}

function titleSvg({ title, box }: PlacedGroup): string {
  const [x, y] = [round(box.x - box.width / 2 + 10), round(box.y - box.height / 2 + 17)];
  return `<text x="${x}" y="${y}" font-size="13" font-weight="bold" fill="#5a6578" ${HALO}>${escaped(title)}</text>`;
}

function partSvg({ title, lines, place, box }: PlacedPart): string {
  const style =
    place === 'outside' ? 'fill="white" stroke="#3b5b8c" stroke-dasharray="4 3"' : 'fill="#e9f0fb" stroke="#3b5b8c"';
  const top = box.y - box.height / 2;
  const small = lines.map(
    (line, index) => `<tspan x="${round(box.x)}" y="${round(top + 34 + index * 13)}">${escaped(line)}</tspan>`,
  );
  return [
    rectangle(box, style),
    `<text x="${round(box.x)}" y="${round(top + 20)}" font-size="13" font-weight="bold" text-anchor="middle" fill="#1a2433">${escaped(title)}</text>`,
    ...(small.length > 0 ? [`<text text-anchor="middle" fill="#4a5568">${small.join('')}</text>`] : []),
  ].join('');
}

function lineSvg({ corners, path }: PlacedLink): string {
  const d = corners.map((point, index) => {
    const [before, after] = [corners[index - 1], corners[index + 1]];
    if (!before) return `M${coordinates(point)}`;
    if (!after) return `L${coordinates(point)}`;
    return `L${coordinates(towards(point, before))} Q${coordinates(point)} ${coordinates(towards(point, after))}`;
  });
  return `<path d="${d.join(' ')}" fill="none" stroke="${PATHS[path].colour}" stroke-width="1.5" marker-end="url(#${path})"/>`;
}

function labelSvg({ label, text, path }: PlacedLink): string {
  if (!text) return '';
  return `<text x="${round(text.x)}" y="${round(text.y + 4)}" text-anchor="middle" fill="${PATHS[path].colour}" ${HALO}>${escaped(label)}</text>`;
}

function legend(): string {
  return Object.entries(PATHS)
    .map(([path, { colour, meaning }], index) => {
      const y = 20 + index * 15;
      return `<path d="M16,${y} H46" stroke="${colour}" stroke-width="1.5" marker-end="url(#${path})"/><text x="54" y="${y + 4}" fill="${colour}">${escaped(meaning)}</text>`;
    })
    .join('\n');
}

/** A point a little away from a corner. */
function towards(corner: Point, other: Point): Point {
  const length = Math.hypot(other.x - corner.x, other.y - corner.y);
  const share = Math.min(ROUNDING / length, 0.5);
  return { x: corner.x + (other.x - corner.x) * share, y: corner.y + (other.y - corner.y) * share };
}

function coordinates({ x, y }: Point): string {
  return `${round(x)},${round(y)}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
