/**
 * CLIP's text encoder (Radford et al. 2021) as transformers' CLIPTextModel computes it: causal mask only, padding is
 * attended to. Token rows are read from the file as they are needed; 77 rows of a 76 MB table need no GPU memory.
 */
import { defined, invariant } from '../core/invariant.ts';
import { keep, quickGelu, selfAttention, tensor, tidy, type Tensor } from '../gpu/ops.ts';
import type { Linear } from '../nn/linear.ts';
import type { LayerNorm } from '../nn/norms.ts';
import type { Segment } from '../nn/segments.ts';
import { LayerLoader, readRow, trainableTensors, type AdaptableLayer, type WeightReader } from '../nn/weights.ts';
import { UnsupportedModelError, type ConfigReader } from './config.ts';

export interface ClipTextConfig {
  readonly hiddenSize: number;
  readonly hiddenLayers: number;
  /** Width between the two linear layers of the MLP. */
  readonly intermediateSize: number;
  readonly heads: number;
  readonly layerNormEpsilon: number;
  readonly maxPositions: number;
  readonly vocabSize: number;
  readonly eosTokenId: number;
}

/** Reads text_encoder/config.json. */
export function parseClipTextConfig(config: ConfigReader): ClipTextConfig {
  const activation = config.string('hidden_act', 'quick_gelu');
  if (activation !== 'quick_gelu') throw new UnsupportedModelError(config.where, `"hidden_act": "${activation}"`);
  return {
    hiddenSize: config.number('hidden_size'),
    hiddenLayers: config.number('num_hidden_layers'),
    intermediateSize: config.number('intermediate_size'),
    heads: config.number('num_attention_heads'),
    layerNormEpsilon: config.number('layer_norm_eps', 1e-5),
    maxPositions: config.number('max_position_embeddings', 77),
    vocabSize: config.number('vocab_size', 49408),
    eosTokenId: config.number('eos_token_id', 49407),
  };
}

interface ClipLayer {
  readonly norm1: LayerNorm;
  readonly qkv: Linear;
  readonly attentionOut: Linear;
  readonly norm2: LayerNorm;
  readonly fc1: Linear;
  readonly fc2: Linear;
}

/** What the encoder gives for a batch of token lists. All tensors are the caller's to dispose. */
export interface ClipOutput {
  /** [N, L, hiddenSize] after the last layer that was run and the final norm: what Stable Diffusion 1.5 conditions on. */
  readonly lastHiddenState: Tensor;
  /** Token plus position embedding, then the output of each layer: hiddenLayers + 1 tensors; empty unless asked for. */
  readonly hiddenStates: readonly Tensor[];
}

export interface ClipOptions {
  readonly hiddenStates?: boolean;
  /** A1111's and kohya's clip skip: 1 runs all layers, 2 all but the last (diffusers' clip_skip 1), and so on. */
  readonly clipSkip?: number;
  /** For each token list, rows that stand in for the token table's by position: textual inversion. */
  readonly rows?: readonly ReadonlyMap<number, Float32Array>[];
}

/** Rows of the token table that are kept once read: a data set's captions use a few thousand, 3 KB each. */
const mostKeptRows = 4096;

export class ClipTextEncoder {
  private readonly rows = new Map<number, Float32Array>();

  private constructor(
    readonly config: ClipTextConfig,
    private readonly reader: WeightReader,
    private readonly positions: Float32Array,
    private readonly layers: readonly ClipLayer[],
    private readonly finalNorm: LayerNorm,
    /** Every layer that an adapter may change. */
    readonly adaptableLayers: readonly AdaptableLayer[],
    private readonly tensors: readonly Tensor[],
  ) {}

  static async load(reader: WeightReader, config: ClipTextConfig, onTensor?: () => void): Promise<ClipTextEncoder> {
    const loader = new LayerLoader(reader, onTensor);
    const { layerNormEpsilon: epsilon } = config;
    const positions = await reader.readFloat32('text_model.embeddings.position_embedding.weight');
    const layers: ClipLayer[] = [];
    for (let i = 0; i < config.hiddenLayers; i++) {
      const name = `text_model.encoder.layers.${i}`;
      const attention = `${name}.self_attn`;
      layers.push({
        norm1: await loader.layerNorm(`${name}.layer_norm1`, epsilon),
        qkv: await loader.linear([`${attention}.q_proj`, `${attention}.k_proj`, `${attention}.v_proj`]),
        attentionOut: await loader.linear([`${attention}.out_proj`]),
        norm2: await loader.layerNorm(`${name}.layer_norm2`, epsilon),
        fc1: await loader.linear([`${name}.mlp.fc1`]),
        fc2: await loader.linear([`${name}.mlp.fc2`]),
      });
    }
    const finalNorm = await loader.layerNorm('text_model.final_layer_norm', epsilon);
    return new ClipTextEncoder(config, reader, positions, layers, finalNorm, loader.takeLayers(), loader.takeTensors());
  }

  dispose(): void {
    for (const t of this.tensors) t.dispose();
  }

  /** Encodes token lists of equal length, at most `maxPositions` each. */
  async encode(
    ids: readonly Int32Array[],
    { hiddenStates: wantStates = false, clipSkip = 1, rows = [] }: ClipOptions = {},
  ): Promise<ClipOutput> {
    const layers = this.layersUpTo(clipSkip);
    const states: Tensor[] = [];
    const embedded = await this.embed(ids, rows);
    const last = tidy(() => {
      let h = embedded;
      const note = (): void => {
        if (wantStates) states.push(keep(h.clone()));
      };
      note();
      for (const layer of layers) {
        h = this.forwardLayer(layer, h);
        note();
      }
      return this.finalNorm.forward(h);
    });
    embedded.dispose();
    return { lastHiddenState: last, hiddenStates: states };
  }

  /**
   * The encoder as segments, one a layer, over the value `tokens` (from {@link embed}); writes `context` [N, L, hiddenSize], which the
   * UNet's segments read: put before them, both are trained in one step.
   */
  segments({ clipSkip = 1 }: Pick<ClipOptions, 'clipSkip'> = {}): Segment[] {
    const layers = this.layersUpTo(clipSkip);
    return layers.map((layer, i) => {
      const isLast = i === layers.length - 1;
      return {
        name: `text_encoder.${i}`,
        reads: [i === 0 ? 'tokens' : `c${i - 1}`],
        writes: [isLast ? 'context' : `c${i}`],
        parameters: () => trainableTensors([layer.qkv, layer.attentionOut, layer.fc1, layer.fc2]),
        run: ([x]) => {
          const h = this.forwardLayer(layer, x!);
          return [isLast ? this.finalNorm.forward(h) : h];
        },
      };
    });
  }

  /** Every layer that an adapter may change and that takes part with this clip skip, in forward order. */
  layersInUse({ clipSkip = 1 }: Pick<ClipOptions, 'clipSkip'> = {}): AdaptableLayer[] {
    return this.layersUpTo(clipSkip).flatMap(({ qkv, attentionOut, fc1, fc2 }) => [qkv, attentionOut, fc1, fc2]);
  }

  /** The layers that clip skip leaves. */
  private layersUpTo(clipSkip: number): readonly ClipLayer[] {
    const { hiddenLayers } = this.config;
    invariant(Number.isInteger(clipSkip) && clipSkip >= 1 && clipSkip <= hiddenLayers, 'Clip skip leaves a layer', {
      clipSkip,
      hiddenLayers,
    });
    return this.layers.slice(0, hiddenLayers - (clipSkip - 1));
  }

  private forwardLayer(layer: ClipLayer, h: Tensor): Tensor {
    const qkv = layer.qkv.forward(layer.norm1.forward(h));
    const attended = selfAttention(qkv, { heads: this.config.heads, causal: true });
    const x = layer.attentionOut.forward(attended, h);
    return layer.fc2.forward(quickGelu(layer.fc1.forward(layer.norm2.forward(x))), x);
  }

  /**
   * Token plus position embeddings [N, L, hiddenSize] of token lists of equal length: the value `tokens` of {@link segments}. The
   * caller's to dispose. `rowsOf`: see {@link ClipOptions.rows}.
   */
  async embed(ids: readonly Int32Array[], rowsOf: NonNullable<ClipOptions['rows']> = []): Promise<Tensor> {
    const { hiddenSize, maxPositions, vocabSize } = this.config;
    const length = ids[0]?.length ?? 0;
    invariant(length > 0 && length <= maxPositions, 'Token lists must have 1 to maxPositions entries', { length });
    const rows = new Map<number, Float32Array>();
    const used = new Set(ids.flatMap((list) => Array.from(list)));
    await Promise.all(
      Array.from(used, async (id) => {
        invariant(id >= 0 && id < vocabSize, 'The tokenizer and the text encoder do not belong together', {
          id,
          vocabSize,
        });
        const row =
          this.rows.get(id) ?? (await readRow(this.reader, 'text_model.embeddings.token_embedding.weight', id));
        rows.set(id, row);
        if (this.rows.size < mostKeptRows) this.rows.set(id, row);
      }),
    );
    const values = new Float32Array(ids.length * length * hiddenSize);
    ids.forEach((list, n) => {
      invariant(list.length === length, 'Token lists must be of equal length');
      list.forEach((id, position) => {
        const row = rowsOf[n]?.get(position) ?? defined(rows.get(id), 'token row');
        invariant(row.length === hiddenSize, 'A token row has the hidden size', { length: row.length, hiddenSize });
        const at = (n * length + position) * hiddenSize;
        for (let c = 0; c < hiddenSize; c++) values[at + c] = row[c]! + this.positions[position * hiddenSize + c]!;
      });
    });
    return tensor(values, [ids.length, length, hiddenSize]);
  }
}
