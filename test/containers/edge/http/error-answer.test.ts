import { ServiceError } from '../../../../containers/edge/errors';
import { errorAnswer } from '../../../../containers/edge/http/error-answer';

describe('the answer of an error', () => {
  it('says when to come back where the service is overloaded', () => {
    const error = new ServiceError('overloaded', '8 requests are waiting already', { retryAfterSeconds: 7 });
    expect(errorAnswer(error, '/predict')).toMatchObject({
      status: 503,
      headers: { 'retry-after': '7', 'cache-control': 'no-store' },
      body: '{"error":{"code":"overloaded","message":"8 requests are waiting already"}}',
    });
    expect(errorAnswer(error, '/v2/models/m/infer')).toMatchObject({
      status: 503,
      headers: { 'retry-after': '7' },
      body: '{"error":"8 requests are waiting already"}',
    });
  });

  it('says to come back in a second where a model is on its way', () => {
    expect(errorAnswer(new ServiceError('model_not_ready', 'soon'), '/predict').headers).toMatchObject({
      'retry-after': '1',
    });
  });

  it.each(['deadline_exceeded', 'inference_failed', 'invalid_request'] as const)('does not say so of %s', (code) => {
    expect(errorAnswer(new ServiceError(code, 'no'), '/predict').headers).not.toHaveProperty('retry-after');
  });
});
