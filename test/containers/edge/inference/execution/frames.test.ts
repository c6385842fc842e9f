import fc from 'fast-check';
import {
  encodeFrame,
  type Frame,
  FrameKind,
  FrameReader,
} from '../../../../../containers/edge/inference/execution/frames';
import { decodeTensors, encodeTensors } from '../../../../../containers/edge/inference/execution/tensor-codec';
import type { Tensor } from '../../../../../containers/edge/inference/tensors';

const ELEMENTS = {
  FP32: fc.float32Array(),
  FP64: fc.float64Array(),
  INT8: fc.int8Array(),
  INT16: fc.int16Array(),
  INT32: fc.int32Array(),
  UINT8: fc.uint8Array(),
  BOOL: fc.uint8Array({ max: 1 }),
  UINT16: fc.uint16Array(),
  UINT32: fc.uint32Array(),
  INT64: fc.bigInt64Array(),
  UINT64: fc.bigUint64Array(),
  BYTES: fc.array(fc.string({ unit: 'binary' })),
};

const tensor: fc.Arbitrary<Tensor> = fc.oneof(
  ...Object.entries(ELEMENTS).map(([datatype, data]) =>
    fc.record({
      name: fc.string({ unit: 'grapheme' }),
      datatype: fc.constant(datatype as Tensor['datatype']),
      shape: fc.array(fc.nat(2 ** 40)),
      data: data as fc.Arbitrary<Tensor['data']>,
    }),
  ),
);

/** What comes out of a reader that gets the bytes in chunks that end at `cuts`. */
function received(bytes: Buffer, cuts: readonly number[]): Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader((frame) => frames.push(frame));
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  ends.reduce((from, to) => {
    reader.push(bytes.subarray(from, to));
    return to;
  }, 0);
  return frames;
}

test('tensors of every datatype arrive as they were sent, however the stream is cut', () => {
  const frame = fc.record({ session: fc.nat(2 ** 32 - 1), tensors: fc.array(tensor, { maxLength: 4 }) });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 4 }), fc.array(fc.nat(), { maxLength: 8 }), (sent, cuts) => {
      const pieces = sent.flatMap(({ session, tensors }) =>
        encodeFrame(FrameKind.run, session, encodeTensors(tensors)),
      );
      const frames = received(Buffer.concat(pieces), cuts);
      expect(
        frames.map(({ kind, session, payload }) => ({ kind, session, tensors: decodeTensors(payload, 0) })),
      ).toEqual(sent.map(({ session, tensors }) => ({ kind: FrameKind.run, session, tensors })));
    }),
  );
});

test('received elements are views of the frame, sent ones are not copied', () => {
  const data = new Float32Array(100_000).fill(1);
  const pieces = encodeFrame(
    FrameKind.run,
    1,
    encodeTensors([{ name: 'x', datatype: 'FP32', shape: [100_000], data }]),
  );
  expect(pieces.some((piece) => piece.buffer === data.buffer)).toBe(true);
  for (const { payload } of received(Buffer.concat(pieces), [])) {
    const [tensor] = decodeTensors(payload, 0) as [Tensor & { data: Float32Array }];
    expect(tensor.data.buffer).toBe(payload.buffer);
  }
  expect.assertions(2);
});

test('elements of a view into larger memory are sent, not the memory', () => {
  const data = new Float32Array([0, 1, 2, 3]).subarray(1, 3);
  const pieces = encodeTensors([{ name: 'x', datatype: 'FP32', shape: [2], data }]);
  expect(decodeTensors(Buffer.from(Uint8Array.from(Buffer.concat(pieces)).buffer), 0)[0]?.data).toEqual(
    new Float32Array([1, 2]),
  );
});

test('bytes that are no frame are refused', () => {
  const reader = new FrameReader(() => undefined);
  expect(() => reader.push(Buffer.alloc(16, 0xff))).toThrow('no frame');
  const [frame = Buffer.alloc(0)] = encodeTensors([
    { name: 'x', datatype: 'FP32', shape: [1], data: new Float32Array(1) },
  ]);
  expect(() => decodeTensors(Buffer.from(frame), 0)).toThrow('past the end');
});
