import type { z } from 'zod';
import type { ParsedDocument } from './document';
import { sizeFaults, sizesOf } from './sizes';

type Report = (path: readonly (string | number)[], message: string) => void;

/** Reports what is wrong between the fields of a document, each of which is valid by itself. */
export function checkDocument(document: ParsedDocument, context: z.core.$RefinementCtx<ParsedDocument>): void {
  const report: Report = (path, message) => context.addIssue({ code: 'custom', path: [...path], message });
  checkRegions(document, report);
  checkSizes(document, report);
  checkRoutePolicies(document, report);
  checkNetwork(document, report);
  checkCanary(document, report);
}

function checkRegions(document: ParsedDocument, report: Report): void {
  const regions = document.regions.map((row) => row.region);
  regions.forEach((region, index) => {
    const first = regions.indexOf(region);
    if (first !== index) report(['regions', index, 'region'], `"${region}" is already named by regions[${first}]`);
  });
  if (document.homeRegion && !regions.includes(document.homeRegion)) {
    report(['homeRegion'], `"${document.homeRegion}" must be one of the environment's regions: ${regions.join(', ')}`);
  }
}

/** Reports the faults of the common sizes, and of a region's only those that its own row brings in. */
function checkSizes(document: ParsedDocument, report: Report): void {
  const common = sizeFaults(document);
  for (const { field, message } of common) report(['edge', field], message);
  document.regions.forEach((row, index) => {
    for (const { field, message } of sizeFaults(sizesOf(document, row))) {
      const inherited = common.some((fault) => fault.field === field && fault.message === message);
      if (!inherited) report(['regions', index, 'edge', field], message);
    }
  });
}

function checkRoutePolicies({ originUrl, routePolicies }: ParsedDocument, report: Report): void {
  if (originUrl !== undefined || routePolicies.length === 0) return;
  report(['routePolicies'], 'need the originUrl whose responses they are about');
}

function checkNetwork({ natGateways, availabilityZones }: ParsedDocument, report: Report): void {
  if (natGateways <= availabilityZones) return;
  report(['natGateways'], `${natGateways} must be at most availabilityZones (${availabilityZones})`);
}

function checkCanary(document: ParsedDocument, report: Report): void {
  if (!document.canaryTask) return;
  if (!document.rollBackOnAlarm) {
    report(['canaryTask'], 'needs rollBackOnAlarm: without alarms nothing tells a bad canary from a good one');
  }
  const requireTwo = (path: readonly (string | number)[], desiredCount: number | undefined) => {
    if (desiredCount === undefined || desiredCount >= 2) return;
    report([...path, 'desiredCount'], `${desiredCount} must be at least 2 with canaryTask: one is the canary`);
  };
  requireTwo(['edge'], document.edge.desiredCount);
  document.regions.forEach((row, index) => {
    requireTwo(['regions', index, 'edge'], row.edge.desiredCount);
  });
}
