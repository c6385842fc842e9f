import { temporaryDirectory } from './edge-service';
import { type HttpService, startHttpService } from './http-service';
import { tinyManifest, tinyModel, writeModel } from './tiny-models';

/** A service with the versions 9 and 10 of `tiny`, which multiply by 9 and by 10; 10 is live. */
export async function startTwoVersions(): Promise<HttpService> {
  const folder = await temporaryDirectory();
  for (const factor of [9, 10]) {
    const version = String(factor);
    await writeModel(folder.path, 'tiny', version, tinyModel(factor), tinyManifest(version, factor));
  }
  const edge = await startHttpService(folder.path, ['9', '10']);
  return {
    ...edge,
    stop: async () => {
      await edge.stop();
      await folder.remove();
    },
  };
}
