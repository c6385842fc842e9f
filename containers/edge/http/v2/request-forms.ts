import type { Datatype } from '../../../../lib/core/manifest';
import type { KnownAnswer } from './infer-answer';
import type { OutputWish } from './output-wishes';
import type { Signature } from './signature';

/** An input as a form describes it. */
export interface FormInput {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly elements: number;
  /** Of its binary data. */
  readonly bytes: number;
}

/** What the JSON of a request says whose tensors all come as binary data: the request without its elements. */
export interface RequestForm {
  readonly inputs: readonly FormInput[];
  /** Of all binary data. */
  readonly bytes: number;
  readonly outputs: readonly OutputWish[];
  readonly timeoutUs: number | undefined;
  /** How the last answer began. */
  answer: KnownAnswer | undefined;
}

/** Longer JSON is read anew each time, characters. */
const MAX_TEXT = 1_024;
/** Of one model. */
const MAX_FORMS = 128;

const formsOf = new WeakMap<Signature, Map<string, RequestForm>>();

/**
 * The form that JSON text was found to be before, for the same model: clients send the same JSON with one tensor after
 * the other, and reading it costs more than reading a small tensor.
 */
export function knownForm(model: Signature, text: string): RequestForm | undefined {
  return text.length > MAX_TEXT ? undefined : formsOf.get(model)?.get(text);
}

/** Remembers a form of a model. Bounded; when there are too many, all are forgotten. */
export function rememberForm(model: Signature, text: string, form: RequestForm): void {
  if (text.length > MAX_TEXT) return;
  let forms = formsOf.get(model);
  if (forms === undefined) {
    forms = new Map();
    formsOf.set(model, forms);
  }
  if (forms.size >= MAX_FORMS) forms.clear();
  forms.set(text, form);
}
