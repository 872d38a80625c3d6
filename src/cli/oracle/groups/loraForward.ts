/** The UNet's output with adapters plugged in. */
import { PluggedAdapters } from '../../../adapter/lora.ts';
import { defined } from '../../../core/invariant.ts';
import { layersOf, readLoraSet } from '../loraSets.ts';
import type { Replay } from './types.ts';
import { compareUNet } from './unet.ts';

export async function replayLoraForward(replay: Replay): Promise<boolean> {
  const { pack, models, oracleCase } = replay;
  const unet = await models.unet();
  const { params, roles } = oracleCase;
  const described =
    (params['adapters'] as { set: string; alpha: number; weight: number }[] | undefined) ??
    Object.keys(roles)
      .filter((role) => role.startsWith('lora'))
      .map((set) => ({ set, alpha: Number(params['alpha']), weight: Number(params['scale']) }));
  const adapters = [];
  for (const { set, alpha } of described) {
    const modules = await readLoraSet(pack, defined(roles[set]), { alpha });
    if (!(await layersOf(models, modules))) return false;
    adapters.push({ name: set, modules });
  }
  const plugged = PluggedAdapters.plug(unet.adaptableLayers, adapters);
  try {
    plugged.setWeights(described.map(({ weight }) => weight));
    await compareUNet(unet, replay, () => {});
  } finally {
    plugged.unplug();
  }
  return true;
}
