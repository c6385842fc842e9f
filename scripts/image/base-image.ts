/** The image that the edge image is built in. */
export interface BaseImage {
  /** Tag of Docker Hub's `node`, e.g. `24.21.0-trixie-slim`. */
  readonly tag: string;
  readonly nodeVersion: string;
  /** Debian's name of the release. */
  readonly suite: string;
  /** `undefined` as long as nobody has pinned it. */
  readonly digest: string | undefined;
}

const LINE = /^ARG NODE_IMAGE=(\S*)$/m;

/** Reads the base that a Dockerfile names. Throws unless that is an exact version of Node on a release of Debian. */
export function baseImage(dockerfile: string): BaseImage {
  const [, reference = ''] = LINE.exec(dockerfile) ?? [];
  const [, tag, nodeVersion, suite, digest] =
    /^node:((\d+\.\d+\.\d+)-([a-z]+)-slim)(?:@(sha256:[0-9a-f]{64}))?$/.exec(reference) ?? [];
  if (tag === undefined || nodeVersion === undefined || suite === undefined) {
    throw new Error(
      `Dockerfile: ARG NODE_IMAGE=${reference} must be an exact version, node:X.Y.Z-SUITE-slim[@sha256:DIGEST]`,
    );
  }
  return { tag, nodeVersion, suite, digest };
}

/** The Dockerfile with its base pinned to a digest; an earlier one is replaced. */
export function pinned(dockerfile: string, digest: string): string {
  return dockerfile.replace(LINE, `ARG NODE_IMAGE=node:${baseImage(dockerfile).tag}@${digest}`);
}
