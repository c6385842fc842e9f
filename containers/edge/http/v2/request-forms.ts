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

/** The last form of a model, and the bytes that said it. */
interface LastForm {
  readonly headerLength: string;
  readonly json: Buffer;
  readonly form: RequestForm;
}

const lastForms = new WeakMap<Signature, LastForm>();

/**
 * The form of a body that begins with the same bytes as the one before, for the same model, its header saying the same
 * of them: to compare them costs less than to find their text. The elements are what follows `json`.
 */
export function sameForm(model: Signature, body: Buffer, headerLength: unknown): LastForm | undefined {
  const last = lastForms.get(model);
  if (last === undefined || last.headerLength !== headerLength) return undefined;
  const { json, form } = last;
  if (body.length !== json.length + form.bytes) return undefined;
  return body.compare(json, 0, json.length, 0, json.length) === 0 ? last : undefined;
}

/** Remembers the form of a request of a model, whose body had JSON in as many bytes as `headerLength` says. */
export function rememberLastForm(model: Signature, body: Buffer, headerLength: string, form: RequestForm): void {
  const end = body.length - form.bytes;
  // A copy: a part would keep what came with it in memory.
  if (end <= MAX_TEXT) lastForms.set(model, { headerLength, json: Buffer.from(body.subarray(0, end)), form });
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
