import { z } from 'zod';
import { uuidFrom } from '../engine/physical-name';
import { parseProperties } from '../engine/properties';
import type { ResourceModule } from '../engine/types';

const Certificate = z.object({
  DomainName: z.string().min(1),
  SubjectAlternativeNames: z.array(z.string()).default([]),
});

/** Certificate Manager: remembers which names each certificate stands for. No key is made; local hops inside a region are plain HTTP. */
export class Certificates {
  private readonly namesByArn = new Map<string, readonly string[]>();

  readonly modules: readonly ResourceModule[] = [
    {
      type: 'AWS::CertificateManager::Certificate',
      start: async (resource) => {
        const inert = [
          'CertificateTransparencyLoggingPreference',
          'DomainValidationOptions',
          'KeyAlgorithm',
          'ValidationMethod',
        ];
        const { DomainName, SubjectAlternativeNames } = parseProperties(resource, Certificate, inert);
        const id = uuidFrom(`${resource.region}/${resource.stackName}/${resource.logicalId}`);
        const arn = `arn:aws:acm:${resource.region}:${resource.account}:certificate/${id}`;
        this.namesByArn.set(arn, [
          ...new Set([DomainName, ...SubjectAlternativeNames].map((name) => name.toLowerCase())),
        ]);
        return { ref: arn };
      },
    },
  ];

  /** Names of a certificate, wildcards included; throws when there is no such certificate. */
  names(arn: string): readonly string[] {
    const names = this.namesByArn.get(arn);
    if (!names) throw new Error(`there is no certificate ${arn}`);
    return names;
  }
}
