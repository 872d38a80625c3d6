/** LoRA files for the demo model, written here so that none has to be trained first: random pairs on its cross attentions. */
import { open, writeFile } from 'node:fs/promises';

const weights = 'public/models/demo/unet/diffusion_pytorch_model.safetensors';

/** Of the demo model's text encoder. */
const textWidth = 128;

interface Entry {
  readonly shape: readonly [number, number];
}

async function crossAttentions(): Promise<[name: string, shape: readonly [number, number]][]> {
  const file = await open(weights);
  try {
    const head = Buffer.alloc(8);
    await file.read(head, 0, 8, 0);
    const json = Buffer.alloc(Number(head.readBigUInt64LE(0)));
    await file.read(json, 0, json.length, 8);
    const header = JSON.parse(json.toString('utf8')) as Record<string, Entry>;
    return Object.entries(header)
      .filter(([name]) => /attn2\.to_[qv]\.weight$/.test(name))
      .map(([name, { shape }]) => [name.replace(/\.weight$/, ''), shape]);
  } finally {
    await file.close();
  }
}

/** Numbers that look random and are the same every time. */
function numbers(count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Writes a kohya file of rank 2 whose effect depends on `seed`; `strange`: with a layer that no model has; `textEncoder`: with its layers. */
export async function writeDemoLora(
  path: string,
  seed: number,
  { strange = false, textEncoder = false } = {},
): Promise<void> {
  const rank = 2;
  const tensors: [name: string, shape: readonly number[], values: Float32Array][] = [];
  const layers: [key: string, shape: readonly [number, number]][] = (await crossAttentions()).map(([name, shape]) => [
    `lora_unet_${name.replaceAll('.', '_')}`,
    shape,
  ]);
  if (textEncoder)
    for (const layer of [0, 1])
      layers.push([`lora_te_text_model_encoder_layers_${layer}_self_attn_v_proj`, [textWidth, textWidth]]);
  for (const [key, [outputs, inputs]] of layers) {
    tensors.push([`${key}.lora_down.weight`, [rank, inputs], numbers(rank * inputs, seed + tensors.length)]);
    tensors.push([
      `${key}.lora_up.weight`,
      [outputs, rank],
      numbers(outputs * rank, 7 * seed + tensors.length).map((value) => value * 0.12),
    ]);
    tensors.push([`${key}.alpha`, [], Float32Array.of(rank)]);
  }
  if (strange)
    for (const part of ['lora_down', 'lora_up'])
      tensors.push([
        `lora_unet_no_such_block_1.${part}.weight`,
        part === 'lora_down' ? [rank, 4] : [4, rank],
        numbers(8, 1),
      ]);
  await writeTensors(path, tensors, {
    ss_network_module: 'networks.lora',
    'modelspec.trigger_phrase': `word${seed}`,
    ss_tag_frequency: JSON.stringify({ set: { drawing: 9, [`thing ${seed}`]: 4 } }),
  });
}

/** Writes a textual-inversion embedding of two tokens for the demo model, in A1111's form. */
export async function writeDemoEmbedding(path: string): Promise<void> {
  await writeTensors(path, [['emb_params', [2, textWidth], numbers(2 * textWidth, 5).map((value) => value * 0.1)]], {});
}

async function writeTensors(
  path: string,
  tensors: readonly (readonly [name: string, shape: readonly number[], values: Float32Array])[],
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  let at = 0;
  const header: Record<string, unknown> = { __metadata__: metadata };
  for (const [name, shape, values] of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [at, at + values.byteLength] };
    at += values.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header).padEnd(Math.ceil(JSON.stringify(header).length / 8) * 8));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(json.length));
  const bytes = tensors.map(([, , values]) => Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  await writeFile(path, Buffer.concat([head, json, ...bytes]));
}
