import type { LoraTarget } from '../formats/lora/types.ts';
import type { AdaptableLayer } from '../nn/weights.ts';
import { PluggedAdapters, type Adapter } from './lora.ts';

export interface WeightedAdapter {
  readonly adapter: Adapter;
  readonly weight: number;
}

/** The adapters of one part of a model (the UNet, the text encoder): as long as they stay the same, weights are all that moves. */
export class AdapterSlot {
  private adapters: readonly Adapter[] = [];
  private plugged: PluggedAdapters | null = null;

  /** Plugs `loras` into `layers`, in this order, unless they are there already, and sets their weights. */
  set(layers: readonly AdaptableLayer[], loras: readonly WeightedAdapter[]): void {
    const { adapters } = this;
    const same = loras.length === adapters.length && loras.every(({ adapter }, i) => adapter === adapters[i]);
    if (!same) {
      this.clear();
      this.plugged = PluggedAdapters.plug(
        layers,
        loras.map(({ adapter }) => adapter),
      );
      this.adapters = loras.map(({ adapter }) => adapter);
    }
    this.plugged?.setWeights(loras.map(({ weight }) => weight));
  }

  /** Takes the adapters out, before their layers are freed or others come. */
  clear(): void {
    this.plugged?.unplug();
    this.plugged = null;
    this.adapters = [];
  }
}

/** Whether an adapter changes layers of this part of the model. */
export function hasTarget({ modules, changes }: Adapter, target: LoraTarget): boolean {
  return [...modules.values(), ...(changes?.values() ?? [])].some((change) => change.target === target);
}
