import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ControlError, reasonOf } from './errors';

/** How programs on this machine reach the running local CDN; the file `.mlcdn/local.json` that it writes. */
const LocalConnection = z.object({
  url: z.url(),
  account: z.string().regex(/^\d{12}$/),
  homeRegion: z.string().min(1),
  regions: z.array(z.string().min(1)).min(1),
  /** Environment variables with which an AWS SDK talks to the local CDN. */
  environment: z.record(z.string(), z.string()),
  pid: z.int().positive(),
});
export type LocalConnection = z.infer<typeof LocalConnection>;

const NOT_RUNNING = 'no local CDN is running; start one with: npm start';

/**
 * Reads how to reach the running local CDN.
 * @throws ControlError when none runs, or the file is not one that this version of the project wrote
 */
export function readLocalConnection(file: string): LocalConnection {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new ControlError(NOT_RUNNING);
  }
  const connection = parseConnection(file, text);
  if (!isRunning(connection.pid)) throw new ControlError(NOT_RUNNING);
  return connection;
}

function parseConnection(file: string, text: string): LocalConnection {
  try {
    return LocalConnection.parse(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : reasonOf(error);
    throw new ControlError(`${file} does not describe a running local CDN; restart it with: npm start\n${reason}`);
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: the process exists and belongs to someone else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
