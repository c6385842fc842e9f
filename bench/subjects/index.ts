import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Started } from '../support/processes';
import { startEdge } from './mlcdn';
import { startNginx } from './nginx';
import { startTrafficServer, TRAFFIC_SERVER } from './traffic-server';
import { startVarnish } from './varnish';

/** A caching proxy before one origin. */
export interface Subject {
  readonly pid: number;
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** What a subject is started with. */
export interface SubjectOptions {
  readonly originPort: number;
  /** Core to run on; anywhere by default. */
  readonly core?: number | undefined;
  /** Environment of the edge service beyond what its own starter sets; the other subjects ignore it. */
  readonly env?: Readonly<Record<string, string>>;
}

/** How one subject is started in an empty folder. */
export type Start = (folder: string, options: SubjectOptions) => Promise<{ port: number; started: Started }>;

const SUBJECTS: Readonly<Record<string, Start>> = {
  mlcdn: startEdge,
  nginx: startNginx,
  varnish: startVarnish,
  ...(existsSync(TRAFFIC_SERVER) ? { 'traffic-server': startTrafficServer } : {}),
};

/** The subjects that can be started on this machine. */
export const SUBJECT_NAMES: readonly string[] = Object.keys(SUBJECTS);

/** Starts a subject with an empty cache. Throws naming the subjects when there is no such one. */
export async function startSubject(name: string, options: SubjectOptions): Promise<Subject> {
  const start = SUBJECTS[name];
  if (start === undefined)
    throw new Error(`subject ${JSON.stringify(name)}: must be one of ${SUBJECT_NAMES.join(', ')}`);
  const folder = await mkdtemp(join(tmpdir(), `mlcdn-bench-${name}-`));
  try {
    const { port, started } = await start(folder, options);
    return {
      pid: started.pid,
      url: `http://127.0.0.1:${port}`,
      port,
      stop: async () => {
        await started.stop();
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}
