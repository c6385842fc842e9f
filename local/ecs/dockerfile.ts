import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** How a container of an image starts, from the last stage of its Dockerfile. */
export interface ImageStart {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
}

/**
 * Reads what `docker run` would start. Instructions that only matter to a build (`COPY`, `RUN`, ...) are passed over:
 * the build context itself is the file system here.
 * Format: Dockerfile reference (FROM, ENV, WORKDIR, ENTRYPOINT, CMD; exec and shell form; line continuations).
 */
export function readImageStart(directory: string): ImageStart {
  const text = readFileSync(join(directory, 'Dockerfile'), 'utf8');
  let start: ImageStart = freshStage();
  for (const { instruction, argument } of instructions(text)) {
    if (instruction === 'FROM') start = freshStage();
    if (instruction === 'ENV') start = { ...start, environment: { ...start.environment, ...assignments(argument) } };
    if (instruction === 'WORKDIR') start = { ...start, workingDirectory: argument };
    if (instruction === 'ENTRYPOINT') start = { ...start, entrypoint: words(argument), command: [] };
    if (instruction === 'CMD') start = { ...start, command: words(argument) };
  }
  if (start.entrypoint.length + start.command.length === 0) {
    throw new Error(`${join(directory, 'Dockerfile')}: the last stage has neither ENTRYPOINT nor CMD`);
  }
  return start;
}

/**
 * The command line that stands for a container's on this machine: the image's Node is this one, and paths in the
 * image's working directory are paths in the build context.
 */
export function localCommand(commandLine: readonly string[], workingDirectory: string, directory: string): string[] {
  const inImage = workingDirectory.endsWith('/') ? workingDirectory : `${workingDirectory}/`;
  return commandLine.map((word, index) => {
    if (index === 0 && basename(word) === 'node') return process.execPath;
    return inImage !== '/' && word.startsWith(inImage) ? join(directory, word.slice(inImage.length)) : word;
  });
}

function freshStage(): ImageStart {
  return { entrypoint: [], command: [], environment: {}, workingDirectory: '/' };
}

function instructions(text: string): { instruction: string; argument: string }[] {
  const joined = text.replace(/^\s*#.*$/gm, '').replace(/\\[ \t]*\r?\n/g, ' ');
  return joined.split(/\r?\n/).flatMap((line) => {
    const [, instruction, argument] = /^\s*([A-Za-z]+)\s+(.*?)\s*$/.exec(line) ?? [];
    return instruction && argument ? [{ instruction: instruction.toUpperCase(), argument }] : [];
  });
}

function words(argument: string): string[] {
  if (!argument.startsWith('[')) return ['/bin/sh', '-c', argument];
  const parsed: unknown = JSON.parse(argument);
  if (!Array.isArray(parsed)) throw new Error(`${argument} must be a JSON array of strings`);
  return parsed.map(String);
}

function assignments(argument: string): Record<string, string> {
  const pairs = [...argument.matchAll(/([A-Za-z_][A-Za-z0-9_]*)=("(?:[^"\\]|\\.)*"|'[^']*'|\S*)/g)];
  if (pairs.length > 0) return Object.fromEntries(pairs.map(([, name = '', value = '']) => [name, unquoted(value)]));
  const [, name, value] = /^(\S+)\s+(.*)$/.exec(argument) ?? [];
  return name ? { [name]: value ?? '' } : {};
}

function unquoted(value: string): string {
  return /^".*"$|^'.*'$/s.test(value) ? value.slice(1, -1) : value;
}
