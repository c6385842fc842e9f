/** @jest-environment ./test/support/onnx-environment.cjs */
import { setImmediate as turn } from 'node:timers/promises';
import { InlineHost } from '../../../../containers/edge/inference/execution/inline-host';
import { FolderControl } from '../../../../containers/edge/inference/folder-control';
import { FolderSource } from '../../../../containers/edge/inference/folder-source';
import { ModelRepository } from '../../../../containers/edge/inference/model-repository';
import { temporaryDirectory } from '../../../support/edge-service';
import { tinyModel, writeModel } from '../../../support/tiny-models';

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const AT_ONCE = 4;
const MODELS = 9;

it('loads the models of a folder side by side, but not all of them at once', async () => {
  const folder = await temporaryDirectory();
  for (let i = 0; i < MODELS; i++) await writeModel(folder.path, `model${i}`, '1', tinyModel(i));
  const inline = new InlineHost();
  let [loading, most] = [0, 0];
  let letGo: () => void = () => undefined;
  const first = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const host: Pick<InlineHost, 'open'> & { inline: InlineHost } = {
    inline,
    async open(file) {
      loading += 1;
      most = Math.max(most, loading);
      // The first ones wait for each other, and then for one too many.
      if (loading === AT_ONCE) void turns(100).then(letGo);
      await first;
      const session = await inline.open(file);
      loading -= 1;
      return session;
    },
  };
  const source = new FolderSource(folder.path);
  const repository = new ModelRepository({ source, host, log, retryDelaysMs: [] });
  await new FolderControl({ source, repository, policy: { kind: 'all' }, log }).start();
  expect(most).toBe(AT_ONCE);
  expect(repository.names()).toHaveLength(MODELS);
  repository.close();
  await folder.remove();
});

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}
