import type { ChannelDocument } from '../../../lib/core/channel';
import type { GoldenSample, ModelManifest } from '../../../lib/core/manifest';

/** A model file on this machine's disk, its external data beside it. */
export interface LocalModelFile {
  /** Of `model.onnx`. */
  readonly path: string;
  /** Lower-case hex SHA-256 of the bytes. */
  readonly sha256: string;
  readonly bytes: number;
  /** Absent only where models are kept without manifests. */
  readonly manifest: ModelManifest | undefined;
  /** What the version must answer; none where nobody said so. */
  readonly golden: readonly GoldenSample[];
  /** Removes the files if they were copied for this call. They must stay for as long as the model may be opened. */
  discard(): Promise<void>;
}

/** Where model versions come from. */
export interface ModelSource {
  /**
   * Brings a version to the local disk. Rejects with `RefusedModel` when what is there is not what the manifest says;
   * any other rejection may pass by itself (not replicated yet, no connection).
   */
  fetchVersion(model: string, version: string): Promise<LocalModelFile>;
  /** What changes whenever the files of a version do. Absent where versions are immutable. */
  fingerprint?(model: string, version: string): Promise<string>;
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
