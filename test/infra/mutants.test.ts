import { checkAssembly } from '../../lib/checks';
import { evaluateAssembly } from '../../lib/checks/assembly';
import { MUTANT_KINDS, mutantsOf, type TemplateJson } from '../../local/mutation/mutants';
import { synthesized } from './breaking';

const REGIONS = ['us-east-1', 'eu-west-1'];
/** Every mutant is a run of all checks; a busy machine takes its time for them. */
const TIMEOUT_MS = 300_000;

const stacks = synthesized('local', REGIONS);
const mutants = mutantsOf(
  stacks.map(({ stackName, template }) => ({ file: stackName, stackName, content: template as TemplateJson })),
  REGIONS,
);

test('the templates as they are give no finding', async () => {
  expect(await checkAssembly(evaluateAssembly(stacks))).toEqual([]);
});

describe.each(MUTANT_KINDS)('whatever is taken away of the kind %s', (kind) => {
  const ofKind = mutants.filter((mutant) => mutant.kind === kind);

  test(
    'is noticed by a check',
    async () => {
      const missed: string[] = [];
      for (const { file, gone, content } of ofKind) {
        const changed = stacks.map((stack) =>
          stack.stackName === file
            ? {
                ...stack,
                template: { ...stack.template, Resources: content.Resources as typeof stack.template.Resources },
              }
            : stack,
        );
        if ((await checkAssembly(evaluateAssembly(changed))).length === 0) missed.push(gone);
      }
      expect(missed).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test('exists', () => {
    expect(ofKind.length).toBeGreaterThan(0);
  });
});
