/** @jest-environment ./test/support/onnx-environment.cjs */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { z } from 'zod';
import { GoldenSample } from '../../lib/core/manifest';
import { type BuiltVersion, buildModels } from '../../models/build';
import { RANKER_FEATURES, SAMPLE_VIEWERS } from '../../models/ranker/features';

jest.setTimeout(60_000);

describe("the project's own model", () => {
  let directory: string;
  let first: BuiltVersion[];
  let second: BuiltVersion[];

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'mlcdn-models-'));
    first = buildModels(join(directory, 'first'));
    second = buildModels(join(directory, 'second'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('comes in versions 1 and 2', () => {
    expect(first.map(({ model, version }) => `${model} ${version}`)).toEqual(['ranker 1', 'ranker 2']);
  });

  it('is built byte for byte the same twice', () => {
    for (const [index, { onnxFile, goldenFile }] of first.entries()) {
      const twin = second[index];
      expect(readFileSync(onnxFile).equals(readFileSync(twin?.onnxFile ?? ''))).toBe(true);
      expect(readFileSync(goldenFile, 'utf8')).toBe(readFileSync(twin?.goldenFile ?? '', 'utf8'));
    }
  });

  it('ranks held-out impressions far better than chance, and version 2 better than version 1', () => {
    const [one, two] = first;
    expect(one?.heldOutAuc).toBeGreaterThan(0.75);
    expect(two?.heldOutAuc).toBeGreaterThan((one?.heldOutAuc ?? 1) + 0.02);
  });

  it('takes rows of the named features and gives one score each', async () => {
    for (const { onnxFile } of first) {
      const session = await InferenceSession.create(onnxFile);
      expect(session.inputMetadata).toEqual([
        expect.objectContaining({ name: 'features', type: 'float32', shape: ['rows', RANKER_FEATURES.length] }),
      ]);
      expect(session.outputMetadata).toEqual([
        expect.objectContaining({ name: 'score', type: 'float32', shape: ['rows', 1] }),
      ]);
      await session.release();
    }
  });

  it('gives in ONNX Runtime what the TypeScript forward pass computed', async () => {
    for (const { onnxFile, goldenFile } of first) {
      const session = await InferenceSession.create(onnxFile);
      const samples = z.array(GoldenSample).parse(JSON.parse(readFileSync(goldenFile, 'utf8')));
      expect(samples).toHaveLength(SAMPLE_VIEWERS.length + 1);
      for (const { inputs, outputs } of samples) {
        const [input] = inputs;
        const feeds = { features: new Tensor('float32', Float32Array.from(input?.data ?? [], Number), input?.shape) };
        const scores = (await session.run(feeds)).score?.data ?? [];
        const expected = (outputs[0]?.data ?? []).map(Number);
        expect(scores).toHaveLength(expected.length);
        expected.forEach((score, row) => {
          expect(Math.abs(Number(scores[row]) - score)).toBeLessThanOrEqual(1e-6 + 1e-4 * score);
        });
      }
      await session.release();
    }
  });

  it('tells sample viewers apart, and the two versions differ', () => {
    const scores = first.map(({ goldenFile }) => {
      const samples = z.array(GoldenSample).parse(JSON.parse(readFileSync(goldenFile, 'utf8')));
      return (samples.at(-1)?.outputs[0]?.data ?? []).map(Number);
    });
    const [one, two] = scores;
    expect(Math.max(...(two ?? [])) - Math.min(...(two ?? []))).toBeGreaterThan(0.5);
    expect(one).not.toEqual(two);
  });
});
