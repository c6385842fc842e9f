import fc from 'fast-check';
import { FieldNames } from '../../../containers/edge/raw-fields';

describe('names looked for in raw header fields', () => {
  it('are found whatever their letter case, and never among the values', () => {
    const names = ['range', 'if-none-match', 'pragma'];
    const looked = new FieldNames(names);
    const inAnyCase = fc
      .constantFrom(...names)
      .chain((name) =>
        fc
          .array(fc.boolean(), { minLength: name.length, maxLength: name.length })
          .map((upper) => [...name].map((letter, i) => (upper[i] ? letter.toUpperCase() : letter)).join('')),
      );
    const other = fc.string().filter((name) => !names.includes(name.toLowerCase()));
    const pair = (name: fc.Arbitrary<string>) => fc.tuple(name, fc.oneof(fc.string(), fc.constantFrom(...names)));
    fc.assert(
      fc.property(fc.array(pair(other)), fc.option(pair(inAnyCase)), fc.nat(), (others, wanted, at) => {
        const fields = wanted ? others.toSpliced(at % (others.length + 1), 0, wanted) : others;
        expect(looked.isIn(fields.flat())).toBe(wanted !== null);
      }),
    );
  });
});
