import { decodeEntry, encodeEntry } from '../../../containers/edge/cache/entry-codec';
import { encodeVaries } from '../../../containers/edge/http-cache/stored-response';
import { encodePrediction } from '../../../containers/edge/inference/prediction-body';
import { keptBytes } from '../../../containers/edge/kept-bytes';
import { entryOf } from './cache/fixtures';

const COUNT = 2_000;

/** Bytes of memory that these hold on to. */
function heldBy(kept: readonly Buffer[]): number {
  return [...new Set(kept.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** What is kept of many requests, each of which needed a few buffers besides for a moment. */
function keepAmongOthers(make: (i: number) => Buffer): Buffer[] {
  return Array.from({ length: COUNT }, (_, i) => {
    Buffer.from('x'.repeat(1_000));
    return make(i);
  });
}

const prediction = (i: number) =>
  encodePrediction([{ name: 'score', datatype: 'FP32', shape: [1, 1], data: Float32Array.of(i) }]);
const encodedEntry = encodeEntry(entryOf('key', { body: Buffer.alloc(100) }));

it.each([
  ['a prediction', prediction],
  ['a stored response', () => encodeVaries(['accept-language', 'accept-encoding'])],
  ['the body of an entry from a tier below', () => decodeEntry(encodedEntry).body],
])('%s holds on to little more memory than it has bytes', (_, make) => {
  const kept = keepAmongOthers(make);
  const bytes = kept.reduce((sum, { length }) => sum + length, 0);
  expect(heldBy(kept)).toBeLessThan(1.25 * bytes);
});

it('gives everybody bytes of their own, as many as asked for', () => {
  const lengths = [0, 1, 7, 8, 511, 512, 513, 4_096, 100_000];
  const kept = [...lengths, ...lengths, ...lengths].map((length, i) => keptBytes(length).fill(i));
  kept.forEach((bytes, i) => {
    expect(bytes).toEqual(Buffer.alloc(lengths[i % lengths.length] ?? 0, i));
  });
});
