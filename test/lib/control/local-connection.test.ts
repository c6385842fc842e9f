import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLocalConnection } from '../../../lib/control/local-connection';

// Beyond the largest process id that Linux can be configured to give (2^22).
const NO_PROCESS = 2 ** 22 + 1;

describe('connection to the local CDN', () => {
  const directory = mkdtempSync(join(tmpdir(), 'mlcdn-connection-'));
  const file = join(directory, 'local.json');
  const connection = {
    url: 'http://localhost:8080',
    endpoint: 'http://localhost:9000',
    account: '000000000000',
    homeRegion: 'us-east-1',
    regions: ['us-east-1', 'eu-west-1'],
    environment: { AWS_ENDPOINT_URL: 'http://localhost:9000' },
    pid: process.pid,
  };
  const write = (content: unknown) => writeFileSync(file, JSON.stringify(content));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('is what the running CDN wrote', () => {
    write(connection);
    expect(readLocalConnection(file)).toMatchObject({ regions: ['us-east-1', 'eu-west-1'], pid: process.pid });
  });

  it('is refused when no CDN runs', () => {
    const message = 'no local CDN is running; start one with: npm start';
    expect(() => readLocalConnection(join(directory, 'absent.json'))).toThrow(message);
    write({ ...connection, pid: NO_PROCESS });
    expect(() => readLocalConnection(file)).toThrow(message);
  });

  it('names the field that does not fit', () => {
    write({ ...connection, account: '12' });
    expect(() => readLocalConnection(file)).toThrow(/does not describe a running local CDN[\s\S]*account/);
    writeFileSync(file, '{"url":');
    expect(() => readLocalConnection(file)).toThrow('does not describe a running local CDN');
  });
});
