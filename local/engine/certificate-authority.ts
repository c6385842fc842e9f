import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate, type SubjectAltNameEntry } from 'selfsigned';

/** Files of a server certificate, PEM. */
export interface ServerCertificate {
  readonly keyFile: string;
  readonly certificateFile: string;
}

/**
 * The certificate authority of this machine's stand-ins, made anew at each start. Processes trust it through
 * `NODE_EXTRA_CA_CERTS`; its private key never leaves this process.
 */
export class CertificateAuthority {
  private constructor(
    private readonly directory: string,
    private readonly key: string,
    private readonly certificate: string,
    /** PEM file of the authority's certificate. */
    readonly file: string,
  ) {}

  static async create(stateDirectory: string): Promise<CertificateAuthority> {
    const directory = join(stateDirectory, 'tls');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const { private: key, cert } = await generate([{ name: 'commonName', value: 'mlcdn local authority' }], {
      keyType: 'ec',
      algorithm: 'sha256',
      extensions: [
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'keyUsage', keyCertSign: true, critical: true },
      ],
    });
    const file = join(directory, 'ca.pem');
    writeFileSync(file, cert);
    return new CertificateAuthority(directory, key, cert, file);
  }

  /** Issues a server certificate for `localhost` and 127.0.0.1 and writes it to files only this user can read. */
  async issue(name: string): Promise<ServerCertificate> {
    const altNames: SubjectAltNameEntry[] = [
      { type: 2, value: 'localhost' },
      { type: 7, ip: '127.0.0.1' },
    ];
    const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
      keyType: 'ec',
      algorithm: 'sha256',
      ca: { key: this.key, cert: this.certificate },
      extensions: [
        { name: 'basicConstraints', cA: false },
        { name: 'keyUsage', digitalSignature: true },
        { name: 'extKeyUsage', serverAuth: true },
        { name: 'subjectAltName', altNames },
      ],
    });
    const keyFile = join(this.directory, `${name}.key.pem`);
    const certificateFile = join(this.directory, `${name}.pem`);
    writeFileSync(keyFile, key, { mode: 0o600 });
    writeFileSync(certificateFile, cert);
    return { keyFile, certificateFile };
  }
}
