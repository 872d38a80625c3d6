/**
 * Which tools take a LoRA file for Stable Diffusion 1.5, by their own rules. Sources: A1111 extensions-builtin/Lora (networks.py,
 * network.py), Forge's networks.py, ComfyUI comfy/lora.py, InvokeAI's lora_token_vector_length, diffusers lora_conversion_utils.py.
 */
import { demoModel } from '../core/demoModel.ts';
import { flatten, isSdxlKey, parseLoraKey, type LoraKey } from '../formats/lora/keys.ts';
import type { KnownModule } from '../formats/lora/types.ts';
import type { SafetensorsFile } from '../formats/safetensors.ts';
import { alphasOf } from './describe.ts';

export const TOOLS = ['A1111', 'Forge', 'ComfyUI', 'InvokeAI', 'diffusers'] as const;
export type Tool = (typeof TOOLS)[number];

export interface ToolVerdict {
  readonly tool: Tool;
  /** `partly`: it loads, but not all of it acts as it was trained. */
  readonly takes: 'yes' | 'partly' | 'no';
  readonly reason: string;
}

interface Entry {
  readonly name: string;
  /** Null for names of no form. */
  readonly key: LoraKey | null;
  /** Whether the key names a layer of the model. */
  readonly isKnown: boolean;
}

/** Forge gives a file up when more tensors than this are left over. */
const forgeLimit = 12;
/** The width of SD1's text encoder, by which InvokeAI knows it. */
const sd1Width = 768;

/** Asks each tool. `known`: the layers of Stable Diffusion 1.5. */
export async function checkTools(file: SafetensorsFile, known: readonly KnownModule[]): Promise<ToolVerdict[]> {
  const flatNames = new Set(known.map(({ module, target = 'unet' }) => `${target} ${flatten(module)}`));
  const entries = file.names().map((name): Entry => {
    const key = parseLoraKey(name) ?? null;
    return { name, key, isKnown: key !== null && flatNames.has(`${key.target} ${key.flattened}`) };
  });
  const base = file.metadata['ss_base_model_version'] ?? '';
  if (file.names().some(isSdxlKey) || base.startsWith('sdxl')) {
    return TOOLS.map((tool) => ({ tool, takes: 'no', reason: 'It is made for Stable Diffusion XL.' }));
  }
  if (base === demoModel.name) {
    const reason = "It is made for Loratory's demo model, whose layers are smaller than Stable Diffusion's.";
    return TOOLS.map((tool) => ({ tool, takes: 'no', reason }));
  }
  if (!entries.some(({ key }) => key !== null && key.part !== 'alpha')) {
    return TOOLS.map((tool) => ({ tool, takes: 'no', reason: 'It holds no LoRA weights.' }));
  }
  return [
    checkA1111(file, entries),
    checkForge(entries),
    checkComfy(entries),
    checkInvoke(file, entries),
    checkDiffusers(entries, new Set(await alphasOf(file)).size),
  ];
}

function byCount(tool: Tool, entries: readonly Entry[], reads: (entry: Entry) => boolean, needs: string): ToolVerdict {
  const left = entries.filter((entry) => !reads(entry));
  if (left.length === entries.length) return { tool, takes: 'no', reason: `It knows none of the names: ${needs}.` };
  if (left.length === 0) return { tool, takes: 'yes', reason: 'It knows every tensor.' };
  return {
    tool,
    takes: 'partly',
    reason: `It leaves ${left.length} of ${entries.length} tensors out (${left[0]!.name}, …).`,
  };
}

const isKohya = ({ key, isKnown }: Entry): boolean => isKnown && key?.form === 'kohya';

/** Whatever stands before the first dot must be kohya's name of a layer; a header with ss_v2 says Stable Diffusion 2. */
function checkA1111({ metadata }: SafetensorsFile, entries: readonly Entry[]): ToolVerdict {
  if (metadata['ss_v2'] === 'True') {
    return {
      tool: 'A1111',
      takes: 'no',
      reason: 'Its header says Stable Diffusion 2 (ss_v2), so it is hidden beside an SD1 model.',
    };
  }
  return byCount('A1111', entries, isKohya, "it reads kohya's form");
}

/** ComfyUI's names: kohya's; diffusers' old form; of the new form what is no attention of the UNet. */
function comfyReads(entry: Entry): boolean {
  const { name, key, isKnown } = entry;
  if (!isKnown || key === null || name.startsWith('base_model.model.')) return false;
  if (key.form === 'kohya') return true;
  if (key.target === 'textEncoder') return name.startsWith('text_encoder.text_model.');
  return name.includes('.processor.to_') || !name.includes('.to_');
}

function checkComfy(entries: readonly Entry[]): ToolVerdict {
  return byCount('ComfyUI', entries, comfyReads, "it reads kohya's form and diffusers' old one");
}

function checkForge(entries: readonly Entry[]): ToolVerdict {
  const left = entries.filter((entry) => !comfyReads(entry)).length;
  if (left <= forgeLimit) return byCount('Forge', entries, comfyReads, "it reads kohya's form");
  const reason = `${left} tensors match nothing, and it drops a file with more than ${forgeLimit} of them.`;
  return { tool: 'Forge', takes: 'no', reason };
}

/** The last axis of a layer's first matrix, which is the width of what it reads. */
function inputWidth(file: SafetensorsFile, { name, key }: Entry): number | undefined {
  if (key === null || !/^(down|hada_w[12]_b|diff)$/.test(key.part)) return undefined;
  return file.info(name).shape[1];
}

function checkInvoke(file: SafetensorsFile, entries: readonly Entry[]): ToolVerdict {
  const kohya = byCount('InvokeAI', entries, isKohya, "it reads kohya's form");
  if (kohya.takes === 'no') return kohya;
  const telling = entries.filter(({ key }) =>
    key?.target === 'unet' ? /attn2_to_[kv]$/.test(key.flattened) : /self_attn_/.test(key?.flattened ?? ''),
  );
  const widths = telling.map((entry) => inputWidth(file, entry)).filter((width) => width !== undefined);
  if (widths.length === 0) {
    const reason =
      'It finds the kind of model by the width of attn2.to_k, attn2.to_v or the text encoder, and none is here.';
    return { tool: 'InvokeAI', takes: 'no', reason };
  }
  const other = widths.find((width) => width !== sd1Width);
  if (other === undefined) return kohya;
  return {
    tool: 'InvokeAI',
    takes: 'no',
    reason: `The text embeddings are ${other} wide; Stable Diffusion 1's are ${sd1Width}.`,
  };
}

/** Names whose underscores diffusers does not turn back into the layer's. */
const LOST_BY_DIFFUSERS = /^(conv_in|conv_out|time_embedding_linear_[12])$/;

function checkDiffusers(entries: readonly Entry[], alphas: number): ToolVerdict {
  const tool = 'diffusers';
  if (entries.some(({ name }) => name.startsWith('base_model.model.'))) {
    return {
      tool,
      takes: 'no',
      reason: "PEFT's names are for peft's PeftModel.from_pretrained, not for load_lora_weights.",
    };
  }
  const left = entries.find(
    ({ key, isKnown }) =>
      !isKnown ||
      key === null ||
      !/^(down|up|alpha|magnitude)$/.test(key.part) ||
      (key.form === 'kohya' && LOST_BY_DIFFUSERS.test(key.flattened)),
  );
  if (left) return { tool, takes: 'no', reason: `It raises an error over names that it cannot place (${left.name}).` };
  const isKohyaForm = entries.some(({ key }) => key?.form === 'kohya');
  if (isKohyaForm && alphas > 1) {
    return { tool, takes: 'partly', reason: 'Its layers have different alphas; it gives every layer the commonest.' };
  }
  return { tool, takes: 'yes', reason: 'It knows every tensor.' };
}
