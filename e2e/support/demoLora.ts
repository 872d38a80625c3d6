/** LoRA files for the demo model, written here so that none has to be trained first: random pairs on its cross attentions. */
import { open, writeFile } from 'node:fs/promises';

const weights = 'public/models/demo/unet/diffusion_pytorch_model.safetensors';

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

/** Writes a kohya file of rank 2 whose effect depends on `seed`; `strange`: with a layer that no model has. */
export async function writeDemoLora(path: string, seed: number, { strange = false } = {}): Promise<void> {
  const rank = 2;
  const tensors: [name: string, shape: readonly number[], values: Float32Array][] = [];
  for (const [name, [outputs, inputs]] of await crossAttentions()) {
    const key = `lora_unet_${name.replaceAll('.', '_')}`;
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
  let at = 0;
  const header: Record<string, unknown> = {
    __metadata__: {
      ss_network_module: 'networks.lora',
      'modelspec.trigger_phrase': `word${seed}`,
      ss_tag_frequency: JSON.stringify({ set: { drawing: 9, [`thing ${seed}`]: 4 } }),
    },
  };
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
