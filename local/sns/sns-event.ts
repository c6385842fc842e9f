/** A message published to a topic. */
export interface Notification {
  readonly messageId: string;
  readonly topicArn: string;
  readonly message: string;
  readonly subject: string | undefined;
  readonly attributes: Readonly<Record<string, { readonly Type: string; readonly Value: string }>>;
  /** ISO 8601. */
  readonly timestamp: string;
}

/**
 * The event that a subscribed function receives.
 * Shape: AWS Lambda developer guide, "Invoking Lambda functions with Amazon SNS notifications". The signature fields
 * are empty: nothing signs here.
 */
export function snsEvent(notification: Notification, subscriptionArn: string): object {
  return {
    Records: [
      {
        EventVersion: '1.0',
        EventSubscriptionArn: subscriptionArn,
        EventSource: 'aws:sns',
        Sns: {
          Type: 'Notification',
          MessageId: notification.messageId,
          TopicArn: notification.topicArn,
          Subject: notification.subject ?? null,
          Message: notification.message,
          Timestamp: notification.timestamp,
          SignatureVersion: '1',
          Signature: '',
          SigningCertUrl: '',
          UnsubscribeUrl: '',
          MessageAttributes: notification.attributes,
        },
      },
    ],
  };
}
