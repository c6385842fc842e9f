import { CfnBudget } from 'aws-cdk-lib/aws-budgets';
import { Construct } from 'constructs';

/** Cost-allocation tag that every resource of an environment carries; to be activated once in the billing console. */
export const ENVIRONMENT_TAG = 'mlcdn:environment';

export interface CostBudgetProps {
  readonly environment: string;
  readonly monthlyUsd: number;
  readonly emails: readonly string[];
}

/** A month's budget of one environment: mails at 80 % and at all of it, and when the month is going to exceed it. */
export class CostBudget extends Construct {
  constructor(scope: Construct, id: string, { environment, monthlyUsd, emails }: CostBudgetProps) {
    super(scope, id);
    const notify = (notificationType: 'ACTUAL' | 'FORECASTED', threshold: number) => ({
      notification: { notificationType, threshold, thresholdType: 'PERCENTAGE', comparisonOperator: 'GREATER_THAN' },
      subscribers: emails.map((address) => ({ subscriptionType: 'EMAIL', address })),
    });
    new CfnBudget(this, 'Budget', {
      budget: {
        budgetName: `mlcdn-${environment}`,
        budgetType: 'COST',
        timeUnit: 'MONTHLY',
        budgetLimit: { amount: monthlyUsd, unit: 'USD' },
        costFilters: { TagKeyValue: [`user:${ENVIRONMENT_TAG}$${environment}`] },
      },
      notificationsWithSubscribers: [notify('ACTUAL', 80), notify('ACTUAL', 100), notify('FORECASTED', 100)],
    });
  }
}
