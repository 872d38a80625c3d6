/** An adapter being trained: a branch in each of the chosen layers, its matrices as the optimizer's parameters, and back to modules. */
import { defined, invariant } from '../core/invariant.ts';
import { deriveSeed, TorchGenerator } from '../core/rng.ts';
import type { LoraModule, LoraTarget } from '../formats/lora/types.ts';
import { readTensor, type Tensor } from '../gpu/ops.ts';
import { Linear } from '../nn/linear.ts';
import { trainableTensors, type AdaptableLayer } from '../nn/weights.ts';
import { blockOf, type UNetBlock } from './blocks.ts';
import { setBranch, unplugBranch } from './branch.ts';

/** The layers to train, by the part of the model that they are in. */
export type LayersByPart = Readonly<Partial<Record<LoraTarget, readonly AdaptableLayer[]>>>;

export interface NewAdapterOptions {
  readonly rank: number;
  readonly alpha: number;
  readonly seed: number;
  /**
   * How A begins: PEFT's default (kaiming_uniform with a = sqrt 5: uniform in +-1/sqrt(inputs)), or its `gaussian` (normal with
   * deviation 1 / rank). B begins at zero either way, so that the model is unchanged at first.
   */
  readonly init?: 'kaiming' | 'gaussian';
}

/** What the learning rate is multiplied by for a part of the model. */
export interface LearningRateMultipliers {
  readonly textEncoder?: number;
  readonly blocks?: Readonly<Partial<Record<UNetBlock, number>>>;
}

/** Parameters that share a learning rate: `multiplier` times the run's. */
export interface ParameterGroup {
  readonly multiplier: number;
  readonly parameters: readonly Tensor[];
}

/** One layer with its branch. All modules of a layer have its rank and alpha. */
interface TrainedLayer {
  readonly layer: Linear;
  readonly part: LoraTarget;
  readonly rank: number;
  readonly alpha: number;
}

export class TrainableAdapter {
  private constructor(private readonly trained: readonly TrainedLayer[]) {}

  /** A new adapter. Each module draws from a generator of its own, derived from the seed and its name. */
  static create(layers: LayersByPart, options: NewAdapterOptions): TrainableAdapter {
    const modules = allLayers(layers).flatMap(({ layer, part }) =>
      layer.modules.map((module): [string, LoraModule] => [module, newModule(layer, { module, part }, options)]),
    );
    return TrainableAdapter.fromModules(layers, new Map(modules));
  }

  /** Continues from given weights, which must name every module of `layers`; those side by side in one layer have one rank and alpha. */
  static fromModules(layers: LayersByPart, modules: ReadonlyMap<string, LoraModule>): TrainableAdapter {
    const trained = allLayers(layers).map(({ layer, part }): TrainedLayer => {
      const own = layer.modules.map((name) => defined(modules.get(name), `LoRA of ${name}`));
      const { rank, alpha } = own[0]!;
      for (const module of own) {
        invariant(
          module.rank === rank && module.alpha === alpha,
          `${module.module}: layers that lie side by side are trained with one rank and alpha`,
        );
      }
      return { layer, part, rank, alpha };
    });
    for (const { layer, rank, alpha } of trained) {
      const own = layer.modules.map((name) => modules.get(name)!);
      const { inFeatures, outFeatures } = layer.weights;
      const a = joined(own.map(({ down }) => down));
      const b = joined(own.map(({ up }) => up));
      invariant(
        a.length === own.length * rank * inFeatures && b.length === outFeatures * rank,
        `${own[0]!.module}: the LoRA does not have this layer's sizes`,
        { inFeatures, outFeatures, rank },
      );
      setBranch(layer, { a, b, scale: new Float32Array(own.length * rank).fill(alpha / rank), rank });
    }
    return new TrainableAdapter(trained);
  }

  /** Every A and B, in forward order, the UNet's first. */
  parameters(): Tensor[] {
    return trainableTensors(this.trained.map(({ layer }) => layer));
  }

  /** The same in the same order, cut where the learning rate changes. */
  parameterGroups({ textEncoder = 1, blocks = {} }: LearningRateMultipliers = {}): ParameterGroup[] {
    const groups: { multiplier: number; parameters: Tensor[] }[] = [];
    for (const { layer, part } of this.trained) {
      const block = part === 'unet' ? blockOf(layer.modules[0]!) : null;
      const multiplier = part === 'textEncoder' ? textEncoder : block ? (blocks[block] ?? 1) : 1;
      const last = groups.at(-1);
      if (last?.multiplier === multiplier) last.parameters.push(...trainableTensors([layer]));
      else groups.push({ multiplier, parameters: trainableTensors([layer]) });
    }
    return groups;
  }

  /** The weights as they are on the GPU now, module by module. */
  async toModules(): Promise<LoraModule[]> {
    const values = new Map<number, Float32Array>();
    for (const parameter of this.parameters()) values.set(parameter.id, await readTensor(parameter));
    return this.split((parameter) => defined(values.get(parameter.id)));
  }

  /** Cuts values that lie like the parameters (the weights themselves, gradients) into modules. */
  split(valuesOf: (parameter: Tensor) => Float32Array): LoraModule[] {
    return this.trained.flatMap(({ layer, part, rank, alpha }) => {
      const { a, b } = defined(layer.lora, 'the trained branch');
      const { inFeatures } = layer.weights;
      const outFeatures = layer.weights.outFeatures / layer.modules.length;
      const down = valuesOf(a);
      const up = valuesOf(b);
      return layer.modules.map((module, g): LoraModule => ({
        module,
        target: part,
        down: down.slice(g * rank * inFeatures, (g + 1) * rank * inFeatures),
        up: up.slice(g * outFeatures * rank, (g + 1) * outFeatures * rank),
        rank,
        alpha,
        inFeatures,
        outFeatures,
        ...(layer.isConvolution ? { kernel: [1, 1] as const } : {}),
      }));
    });
  }

  /** Frees the parameters and takes them out of the model. */
  dispose(): void {
    for (const { layer } of this.trained) unplugBranch(layer);
  }
}

function allLayers(layers: LayersByPart): { readonly layer: Linear; readonly part: LoraTarget }[] {
  return (['unet', 'textEncoder'] as const).flatMap((part) =>
    (layers[part] ?? []).map((layer) => {
      invariant(layer instanceof Linear, 'Convolutions of more than one tap cannot be trained');
      return { layer, part };
    }),
  );
}

function newModule(
  layer: Linear,
  { module, part }: { readonly module: string; readonly part: LoraTarget },
  { rank, alpha, seed, init = 'kaiming' }: NewAdapterOptions,
): LoraModule {
  const { inFeatures } = layer.weights;
  const outFeatures = layer.weights.outFeatures / layer.modules.length;
  const generator = new TorchGenerator(deriveSeed(seed, 'lora-init', module));
  const bound = 1 / Math.sqrt(inFeatures);
  const down =
    init === 'gaussian'
      ? generator.randn(rank * inFeatures).map((value) => value / rank)
      : generator.rand(rank * inFeatures).map((u) => (2 * u - 1) * bound);
  const up = new Float32Array(outFeatures * rank);
  return { module, target: part, down, up, rank, alpha, inFeatures, outFeatures };
}

function joined(arrays: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const out = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    out.set(array, at);
    at += array.length;
  }
  return out;
}
