import type { CheckedAssembly } from './assembly';

/** Something in a template that would fail, or do the wrong thing, once deployed. */
export interface Finding {
  /** Name of the stack. */
  readonly stack: string;
  /** Logical id; the stack itself where no single resource is at fault. */
  readonly resource: string;
  /** What is wrong, with the value. */
  readonly problem: string;
  /** What would be right. */
  readonly right: string;
}

/** A pure function over the templates of an environment. */
export interface Check {
  /** As documented in `docs/infrastructure-checks.md`. */
  readonly name: string;
  run(assembly: CheckedAssembly): readonly Finding[] | Promise<readonly Finding[]>;
}
