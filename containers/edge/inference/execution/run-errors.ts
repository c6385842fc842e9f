import { ServiceError } from '../../errors';
import type { ModelFile } from './types';

/** How messages name a model. */
export function modelLabel({ model, version }: Pick<ModelFile, 'model' | 'version'>): string {
  return `model ${model} version ${version}`;
}

/** The answer to a run that nobody waits for any more. */
export function passedDeadlineError(label: string): ServiceError {
  return new ServiceError('deadline_exceeded', `${label} had not answered when the deadline of the request passed`);
}

/** The answer to a run that took longer than any may. */
export function runLimitError(label: string, limitMs: number): ServiceError {
  return new ServiceError(
    'deadline_exceeded',
    `${label} had not answered after ${limitMs / 1000} s, the longest that a run may take (MODEL_RUN_TIMEOUT_MS)`,
  );
}

/** The answer to what is asked of a host that is going away. */
export function closingError(): ServiceError {
  return new ServiceError('model_not_ready', 'the service is stopping');
}
