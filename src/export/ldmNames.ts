/**
 * The names of Stable Diffusion 1.x' weights in a single file, as CompVis' latent-diffusion has them and A1111 and ComfyUI read them,
 * from diffusers' names. Source: diffusers scripts/convert_diffusers_to_original_stable_diffusion.py.
 */
import { defined } from '../core/invariant.ts';

export type Component = 'unet' | 'vae' | 'text_encoder';

/** What the names depend on beside themselves. */
export interface LdmShape {
  readonly layersPerBlock: number;
  /** For each level on the way up: whether it has transformers. */
  readonly upAttention: readonly boolean[];
  /** Levels of the VAE. */
  readonly vaeLevels: number;
}

const RESNET: readonly (readonly [string, string])[] = [
  ['norm1.', 'in_layers.0.'],
  ['conv1.', 'in_layers.2.'],
  ['time_emb_proj.', 'emb_layers.1.'],
  ['norm2.', 'out_layers.0.'],
  ['conv2.', 'out_layers.3.'],
  ['conv_shortcut.', 'skip_connection.'],
];

const VAE_ATTENTION: readonly (readonly [string, string])[] = [
  ['group_norm.', 'norm.'],
  ['query.', 'q.'],
  ['key.', 'k.'],
  ['value.', 'v.'],
  ['proj_attn.', 'proj_out.'],
  ['to_q.', 'q.'],
  ['to_k.', 'k.'],
  ['to_v.', 'v.'],
  ['to_out.0.', 'proj_out.'],
];

function renamed(text: string, table: readonly (readonly [string, string])[]): string {
  const [from, to] = table.find(([before]) => text.startsWith(before)) ?? ['', ''];
  return to + text.slice(from.length);
}

function unetName(name: string, { layersPerBlock, upAttention }: LdmShape): string {
  const ends: Readonly<Record<string, string>> = {
    'time_embedding.linear_1': 'time_embed.0',
    'time_embedding.linear_2': 'time_embed.2',
    conv_in: 'input_blocks.0.0',
    conv_norm_out: 'out.0',
    conv_out: 'out.2',
  };
  const [, module = '', part = ''] = /^(.*)\.(\w+)$/.exec(name) ?? [];
  if (ends[module] !== undefined) return `${ends[module]}.${part}`;
  const mid = /^mid_block\.(resnets|attentions)\.(\d)\.(.+)$/.exec(name);
  if (mid) {
    const [, kind, index, rest] = mid as unknown as [string, string, string, string];
    return kind === 'resnets' ? `middle_block.${2 * Number(index)}.${renamed(rest, RESNET)}` : `middle_block.1.${rest}`;
  }
  const match = /^(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.+)$/.exec(name);
  const [, way, level, kind, index, rest] = defined(match, `a place for ${name}`) as unknown as string[];
  const [i, j] = [Number(level), Number(index)];
  const stride = layersPerBlock + 1;
  if (way === 'down') {
    if (kind === 'downsamplers') return `input_blocks.${stride * (i + 1)}.0.op.${part}`;
    const block = `input_blocks.${1 + stride * i + j}`;
    return kind === 'resnets' ? `${block}.0.${renamed(rest!, RESNET)}` : `${block}.1.${rest}`;
  }
  if (kind === 'upsamplers') return `output_blocks.${stride * i + layersPerBlock}.${upAttention[i] ? 2 : 1}.${rest}`;
  const block = `output_blocks.${stride * i + j}`;
  return kind === 'resnets' ? `${block}.0.${renamed(rest!, RESNET)}` : `${block}.1.${rest}`;
}

function vaeName(name: string, { vaeLevels }: LdmShape): string {
  const block = /^(encoder|decoder)\.(down|up)_blocks\.(\d)\.(resnets|downsamplers|upsamplers)\.(\d)\.(.+)$/.exec(name);
  if (block) {
    const [, half, way, index, kind, j, rest] = block as unknown as string[];
    const level = `${half}.${way}.${way === 'up' ? vaeLevels - 1 - Number(index) : index}`;
    if (kind !== 'resnets') return `${level}.${way}sample.${rest}`;
    return `${level}.block.${j}.${rest!.replace('conv_shortcut', 'nin_shortcut')}`;
  }
  return name
    .replace(/mid_block\.resnets\.(\d)/, (_, j: string) => `mid.block_${Number(j) + 1}`)
    .replace(/mid_block\.attentions\.0\.(.+)$/, (_, rest: string) => `mid.attn_1.${renamed(rest, VAE_ATTENTION)}`)
    .replace('conv_norm_out', 'norm_out');
}

/** The name of a tensor in a single file. */
export function ldmName(component: Component, name: string, shape: LdmShape): string {
  switch (component) {
    case 'unet':
      return `model.diffusion_model.${unetName(name, shape)}`;
    case 'vae':
      return `first_stage_model.${vaeName(name, shape)}`;
    case 'text_encoder':
      return `cond_stage_model.transformer.${name}`;
  }
}

/** The shape of a tensor in a single file: the projections of the VAE's attention are 1x1 convolutions there. */
export function ldmTensorShape(component: Component, name: string, shape: readonly number[]): readonly number[] {
  const isProjection = component === 'vae' && /mid_block\.attentions\.0\..+\.weight$/.test(name) && shape.length === 2;
  return isProjection ? [...shape, 1, 1] : shape;
}
