import { z } from 'zod';

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** A model's name: part of object keys, cache tags and URLs, so limited to characters that need no escaping in any of them. */
export const ModelName = z.string().regex(NAME, {
  error: (issue) =>
    `model name ${JSON.stringify(issue.input)} must be 1-64 letters, digits, '.', '_' or '-', starting with a letter or digit`,
});

/** A model's version, immutable once published. Same alphabet as a name. */
export const ModelVersion = z.string().regex(NAME, {
  error: (issue) =>
    `model version ${JSON.stringify(issue.input)} must be 1-64 letters, digits, '.', '_' or '-', starting with a letter or digit`,
});

const natural = new Intl.Collator('en', { numeric: true });

/** Orders versions naturally: `2` before `10`, `v1.9` before `v1.10`. */
export function compareVersions(a: string, b: string): number {
  return natural.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

/** The object-key prefix of one model version, without a trailing slash: `models/<name>/<version>`. */
export function versionPrefix(model: string, version: string): string {
  return `models/${model}/${version}`;
}

/** Object key of a version's ONNX file. */
export function modelKey(model: string, version: string): string {
  return `${versionPrefix(model, version)}/model.onnx`;
}

/** Object key of a version's manifest. */
export function manifestKey(model: string, version: string): string {
  return `${versionPrefix(model, version)}/manifest.json`;
}

/** Object key of a file with external data of a version's model. */
export function externalDataKey(model: string, version: string, location: string): string {
  return `${versionPrefix(model, version)}/${location}`;
}
