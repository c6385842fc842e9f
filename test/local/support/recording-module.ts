import type { Resource, ResourceModule, Running } from '../../../local/engine/types';

/** A module that records what it started and stopped; `attributes` and `fail` shape what it gives back. */
export function recordingModule(
  type: string,
  behaviour: {
    readonly attributes?: (resource: Resource) => Readonly<Record<string, unknown>>;
    readonly fail?: (resource: Resource) => Error | undefined;
  } = {},
): ResourceModule & { readonly started: Resource[]; readonly events: string[] } {
  const started: Resource[] = [];
  const events: string[] = [];
  return {
    type,
    started,
    events,
    start: async (resource): Promise<Running> => {
      const error = behaviour.fail?.(resource);
      if (error) throw error;
      started.push(resource);
      events.push(`start ${resource.logicalId}`);
      return {
        ref: `ref-of-${resource.logicalId}`,
        attributes: behaviour.attributes?.(resource) ?? {},
        stop: async () => {
          events.push(`stop ${resource.logicalId}`);
        },
      };
    },
  };
}
