/** Adapter files of every form: the text encoder's and the UNet's output with each plugged in; broken files must be refused. */
import { join } from 'node:path';
import { AdapterSlot } from '../../../adapter/slot.ts';
import { LoratoryError } from '../../../core/errors.ts';
import { adapterOf } from '../../../export/runFile.ts';
import { readTensor, tensor } from '../../../gpu/ops.ts';
import { adaptableModules } from '../../../session/training.ts';
import { loadLora } from '../../loraFiles.ts';
import { toNchw, toNhwc } from '../check.ts';
import type { Replay } from './types.ts';

export async function replayLoraFiles(replay: Replay): Promise<boolean> {
  const { pack, models, oracleCase, check } = replay;
  const { scale, expected } = oracleCase.params;
  const file = oracleCase.params['file'] as string | undefined;
  const known = adaptableModules(await models.model());
  if (expected === 'error') {
    const refused = await loadLora(join(pack.folder, file ?? ''), known).then(
      () => null,
      (error: unknown) => error,
    );
    if (refused !== null && !(refused instanceof LoratoryError)) throw refused;
    const saysWhy = refused !== null && refused.message !== '' && refused.remedy !== '';
    check.record(refused === null ? `${file} was accepted` : refused.message, saysWhy ? 0 : 1, 0);
    return true;
  }
  const loras = [];
  if (file !== undefined) {
    const lora = await loadLora(join(pack.folder, file), known);
    check.record('layers that are not matched', lora.unmatched.length, 0);
    loras.push({ adapter: adapterOf(file, lora), weight: Number(scale) });
  }
  await compareWith(replay, loras);
  return true;
}

async function compareWith({ models, check, input }: Replay, loras: Parameters<AdapterSlot['set']>[1]): Promise<void> {
  const [encoder, unet] = [await models.textEncoder(), await models.unet()];
  const [textSlot, unetSlot] = [new AdapterSlot(), new AdapterSlot()];
  try {
    textSlot.set(encoder.adaptableLayers, loras);
    unetSlot.set(unet.adaptableLayers, loras);
    const ids = Int32Array.from((await input('ids')).values);
    const { lastHiddenState: context } = await encoder.encode([ids]);
    if (check.hasRole('context')) await check.compare('context', await readTensor(context));
    const sample = await input('sample');
    const [n, c, h, w] = sample.shape as [number, number, number, number];
    const x = tensor(toNhwc(sample), [n, h, w, c]);
    const out = unet.forward(x, Array.from((await input('timestep')).values), context);
    await check.compare('out', toNchw(await readTensor(out), out.shape));
    for (const t of [context, x, out]) t.dispose();
  } finally {
    textSlot.clear();
    unetSlot.clear();
  }
}
