import { XMLBuilder, XMLParser } from 'fast-xml-parser';
import { malformedXml } from './errors';

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';

const builder = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: '@', suppressBooleanAttributes: false });
const parser = new XMLParser({ ignoreAttributes: true, parseTagValue: false, trimValues: false });

/** Writes a result document in S3's namespace; `undefined` members are left out. */
export function resultXml(root: string, members: Readonly<Record<string, unknown>>): string {
  return document(root, { '@xmlns': NAMESPACE, ...members });
}

/** Writes an error document, which S3 leaves without a namespace. */
export function errorXml(members: Readonly<Record<string, unknown>>): string {
  return document('Error', members);
}

function document(root: string, members: Readonly<Record<string, unknown>>): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${builder.build({ [root]: members })}`;
}

/** Parses a request document and returns what its root element holds; all text stays text. */
export function parseRequestXml(text: string, root: string): Record<string, unknown> {
  const parsed = parseDocument(text);
  const content = parsed[root];
  if (!isRecord(content)) throw malformedXml(`the document must be a <${root}> with elements in it.`);
  return content;
}

function parseDocument(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = parser.parse(text, true);
    if (isRecord(parsed)) return parsed;
  } catch (error) {
    throw malformedXml(error instanceof Error ? error.message : String(error));
  }
  throw malformedXml('it is empty.');
}

/** Elements of one name, whether the document holds none, one or many of them. */
export function elements(content: Readonly<Record<string, unknown>>, name: string): Record<string, unknown>[] {
  const found = content[name];
  const list = found === undefined ? [] : Array.isArray(found) ? found : [found];
  return list.filter(isRecord);
}

/** Text of an element, `undefined` when it is not there. */
export function textOf(content: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = content[name];
  return typeof value === 'string' ? value : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
