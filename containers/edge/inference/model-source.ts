import type { ChannelDocument } from '../../../lib/core/channel';
import type { ModelManifest } from '../../../lib/core/manifest';

/** A model file on this machine's disk. */
export interface LocalModelFile {
  readonly path: string;
  /** Lower-case hex SHA-256 of the bytes. */
  readonly sha256: string;
  readonly bytes: number;
  /** Absent only where models are kept without manifests. */
  readonly manifest: ModelManifest | undefined;
  /** Removes the file if it was a copy made for this call. */
  discard(): Promise<void>;
}

/** Where model versions come from. */
export interface ModelSource {
  /**
   * Brings a version to the local disk. Rejects with `RefusedModel` when what is there is not what the manifest says;
   * any other rejection may pass by itself (not replicated yet, no connection).
   */
  fetchVersion(model: string, version: string): Promise<LocalModelFile>;
}

/** A channel document with what tells one state of it from the next without reading it. */
export interface ChannelListing {
  readonly model: string;
  /** Changes whenever the document does; empty when the store gives none. */
  readonly etag: string;
}

/** Where the truth about live versions is read. */
export interface ChannelSource {
  listChannels(): Promise<ChannelListing[]>;
  /** Rejects when the document is absent or invalid. */
  readChannel(model: string): Promise<ChannelDocument>;
}
