/**
 * An adapter being trained: a branch in each of the chosen layers, its matrices as the optimizer's parameters, and back to modules.
 *
 * The branch is LoRA's (Hu et al. 2021), on convolutions kohya's LoCon, or with magnitudes DoRA's (Liu et al. 2024).
 */
import { defined, invariant } from '../core/invariant.ts';
import { deriveSeed, TorchGenerator } from '../core/rng.ts';
import type { TrainOptions } from '../core/trainOptions.ts';
import type { LoraModule, LoraTarget } from '../formats/lora/types.ts';
import type { DropoutChances, LoraDropout } from '../gpu/kernels/dropout.ts';
import { intTensor, readTensor, writeTensor, type Tensor } from '../gpu/ops.ts';
import { Conv2d } from '../nn/conv2d.ts';
import { modulesOf, trainableTensors, type AdaptableLayer } from '../nn/weights.ts';
import {
  branchSizes,
  canBranch,
  fromBranchOrder,
  setBranch,
  setMagnitude,
  toBranchOrder,
  unplugBranch,
  type BranchSizes,
} from './branch.ts';
import { isTrained, learningRateMultiplier, type TrainedPart } from './targets.ts';

/** A layer to train. */
export interface LayerToTrain {
  readonly layer: AdaptableLayer;
  /** The part of the model that it is in. */
  readonly part: LoraTarget;
  /** What its learning rate is in terms of the run's. */
  readonly multiplier: number;
}

/**
 * Those of a model's layers that the options name, the UNet's first, each part's in forward order. Projections that lie side by side in one
 * layer are trained together, at the rate of the first that is trained.
 */
export function layersToTrain(
  model: Readonly<Partial<Record<LoraTarget, readonly AdaptableLayer[]>>>,
  options: TrainedPart,
): LayerToTrain[] {
  return (['unet', 'textEncoder'] as const).flatMap((part) =>
    (model[part] ?? []).flatMap((layer) => {
      const module = modulesOf(layer).find((name) => isTrained(name, part, options));
      return module !== undefined && canBranch(layer)
        ? [{ layer, part, multiplier: learningRateMultiplier(module, part, options) }]
        : [];
    }),
  );
}

export type NewAdapterOptions = Pick<TrainOptions, 'rank' | 'alpha' | 'seed'> &
  Partial<Pick<TrainOptions, 'convRank' | 'convAlpha' | 'adapterKind'>> & {
    /**
     * How A begins: PEFT's default (kaiming_uniform with a = sqrt 5: uniform in +-1/sqrt(inputs of an output)), or its `gaussian` (normal
     * with deviation 1 / rank). B begins at zero either way, so that the model is unchanged at first.
     */
    readonly init?: 'kaiming' | 'gaussian';
  };

/** Parameters that share a learning rate: `multiplier` times the run's. */
export interface ParameterGroup {
  readonly multiplier: number;
  readonly parameters: readonly Tensor[];
  /** How many modules' matrices lie one below the other in each: three where q, k and v are packed. */
  readonly stacked: readonly number[];
}

/** One layer with its branch. All modules of a layer have its rank and alpha. */
interface TrainedLayer extends LayerToTrain {
  readonly sizes: BranchSizes;
  readonly rank: number;
  readonly alpha: number;
}

export class TrainableAdapter {
  /** The key of dropout's draws, once any is made. */
  private dropoutKey: Tensor | null = null;

  private constructor(private readonly trained: readonly TrainedLayer[]) {}

  /**
   * A new adapter. 3x3 convolutions have `convRank` and `convAlpha`, everything else `rank` and `alpha`, as with kohya. Each module draws from
   * a generator of its own, derived from the seed and its name. DoRA's magnitudes begin as the norms of the weights.
   */
  static create(layers: readonly LayerToTrain[], options: NewAdapterOptions): TrainableAdapter {
    const modules = layers.flatMap(({ layer, part }) =>
      modulesOf(layer).map((module): [string, LoraModule] => [module, newModule(layer, { module, part }, options)]),
    );
    const adapter = TrainableAdapter.fromModules(layers, new Map(modules));
    if (options.adapterKind === 'dora') for (const { layer } of layers) setMagnitude(layer, null);
    return adapter;
  }

  /**
   * Continues from given weights, which must name every module of `layers`; those side by side in one layer have one rank and alpha. Modules
   * with magnitudes are trained as DoRA.
   */
  static fromModules(layers: readonly LayerToTrain[], modules: ReadonlyMap<string, LoraModule>): TrainableAdapter {
    const trained = layers.map((entry): TrainedLayer => {
      const sizes = branchSizes(entry.layer);
      const own = sizes.modules.map((name) => defined(modules.get(name), `LoRA of ${name}`));
      const { rank, alpha } = own[0]!;
      for (const module of own) {
        invariant(
          module.rank === rank && module.alpha === alpha && !module.magnitude === !own[0]!.magnitude,
          `${module.module}: layers that lie side by side are trained with one rank and alpha`,
        );
      }
      return { ...entry, sizes, rank, alpha };
    });
    for (const { layer, sizes, rank, alpha } of trained) {
      const { inFeatures, taps, outEach } = sizes;
      const own = sizes.modules.map((name) => modules.get(name)!);
      const a = joined(own.map(({ down }) => toBranchOrder(down, sizes)));
      const b = joined(own.map(({ up }) => up));
      invariant(
        a.length === own.length * rank * taps * inFeatures && b.length === own.length * outEach * rank,
        `${own[0]!.module}: the LoRA does not have this layer's sizes`,
        { inFeatures, taps, outFeatures: outEach, rank },
      );
      setBranch(layer, { a, b, scale: new Float32Array(own.length * rank).fill(alpha / rank), rank });
      if (own[0]!.magnitude) setMagnitude(layer, joined(own.map(({ magnitude }) => defined(magnitude))));
    }
    return new TrainableAdapter(trained);
  }

  /** Every A, B and DoRA magnitude, in forward order, the UNet's first. */
  parameters(): Tensor[] {
    return trainableTensors(this.trained.map(({ layer }) => layer));
  }

  /** The same in the same order, cut where the learning rate changes. */
  parameterGroups(): ParameterGroup[] {
    const groups: { multiplier: number; parameters: Tensor[]; stacked: number[] }[] = [];
    for (const { layer, multiplier, sizes } of this.trained) {
      const parameters = trainableTensors([layer]);
      const stacked = parameters.map(() => sizes.modules.length);
      const last = groups.at(-1);
      if (last?.multiplier === multiplier) {
        last.parameters.push(...parameters);
        last.stacked.push(...stacked);
      } else groups.push({ multiplier, parameters, stacked });
    }
    return groups;
  }

  /**
   * Runs `compute`, which computes gradients, with dropout in all branches. What is dropped depends on `draw` (any integer that is new for
   * each batch, e.g. derived from seed and step), the layer and the place alone. Outside of it, e.g. for samples, nothing is dropped.
   */
  withDropout<T>(chances: DropoutChances, draw: number, compute: () => T): T {
    if (chances.network === 0 && chances.rank === 0 && chances.module === 0) return compute();
    const key = (this.dropoutKey ??= intTensor(new Int32Array(1)));
    writeTensor(key, new Float32Array(Int32Array.of(draw).buffer));
    const set = (dropoutOf: (module: string) => LoraDropout | null): void => {
      for (const { layer, sizes } of this.trained) defined(layer.lora).dropout = dropoutOf(sizes.modules[0]!);
    };
    set((module) => ({ chances, key, salt: deriveSeed(0, 'dropout', module) }));
    try {
      return compute();
    } finally {
      set(() => null);
    }
  }

  /** The weights as they are on the GPU now, module by module. */
  async toModules(): Promise<LoraModule[]> {
    const values = new Map<number, Float32Array>();
    for (const parameter of this.parameters()) values.set(parameter.id, await readTensor(parameter));
    return this.split((parameter) => defined(values.get(parameter.id)));
  }

  /** Cuts values that lie like the parameters (the weights themselves, gradients) into modules. */
  split(valuesOf: (parameter: Tensor) => Float32Array): LoraModule[] {
    return this.trained.flatMap(({ layer, part, sizes, rank, alpha }) => {
      const { a, b } = defined(layer.lora, 'the trained branch');
      const { modules, inFeatures, taps, outEach } = sizes;
      const [down, up] = [valuesOf(a), valuesOf(b)];
      const magnitude = layer.magnitude ? valuesOf(layer.magnitude.vector) : null;
      const kernel = kernelOf(layer);
      const size = rank * taps * inFeatures;
      return modules.map((module, g): LoraModule => ({
        module,
        target: part,
        down: fromBranchOrder(down.slice(g * size, (g + 1) * size), sizes),
        up: up.slice(g * outEach * rank, (g + 1) * outEach * rank),
        rank,
        alpha,
        inFeatures,
        outFeatures: outEach,
        ...(kernel ? { kernel } : {}),
        ...(magnitude ? { magnitude: magnitude.slice(g * outEach, (g + 1) * outEach) } : {}),
      }));
    });
  }

  /**
   * Takes the branches out of the model without freeing them, so that others can be plugged in for a while. Returns what puts them
   * back; nothing may be plugged in by then.
   */
  detach(): () => void {
    const branches = this.trained.map(({ layer: { lora, magnitude } }) => ({ lora, magnitude }));
    for (const { layer } of this.trained) Object.assign(layer, { lora: null, magnitude: null });
    return () => {
      this.trained.forEach(({ layer }, i) => {
        invariant(layer.lora === null, 'The branches of another adapter are still plugged in');
        Object.assign(layer, branches[i]);
      });
    };
  }

  /** Frees the parameters and takes them out of the model. */
  dispose(): void {
    for (const { layer } of this.trained) unplugBranch(layer);
    this.dropoutKey?.dispose();
  }
}

/** The kernel that files have for a layer: 1x1 convolutions count as such, though they are computed as linear layers. */
function kernelOf(layer: AdaptableLayer): readonly [number, number] | null {
  if (layer instanceof Conv2d) return [layer.weights.kernelSize, layer.weights.kernelSize];
  return layer.isConvolution ? [1, 1] : null;
}

function newModule(
  layer: AdaptableLayer,
  { module, part }: { readonly module: string; readonly part: LoraTarget },
  { rank, alpha, convRank = rank, convAlpha = alpha, seed, init = 'kaiming' }: NewAdapterOptions,
): LoraModule {
  const { inFeatures, taps, outEach } = branchSizes(layer);
  const [ownRank, ownAlpha] = taps > 1 ? [convRank, convAlpha] : [rank, alpha];
  const generator = new TorchGenerator(deriveSeed(seed, 'lora-init', module));
  const size = ownRank * inFeatures * taps;
  const bound = 1 / Math.sqrt(inFeatures * taps);
  const down =
    init === 'gaussian'
      ? generator.randn(size).map((value) => value / ownRank)
      : generator.rand(size).map((u) => (2 * u - 1) * bound);
  const up = new Float32Array(outEach * ownRank);
  return { module, target: part, down, up, rank: ownRank, alpha: ownAlpha, inFeatures, outFeatures: outEach };
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
