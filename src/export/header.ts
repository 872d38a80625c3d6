/** What people say of a LoRA in its file's header: title, trigger phrase, author, thumbnail. See ModelSpec 1.0.1. */
import type { Combined } from './combine.ts';

/** An empty text takes the entry out of the header. */
export interface HeaderEdits {
  readonly title: string;
  readonly triggerPhrase: string;
  readonly description: string;
  readonly author: string;
  readonly license: string;
  /** Separated by commas. */
  readonly tags: string;
  /** A data URL, or null for none. */
  readonly thumbnail: string | null;
  /** Whether it says how often each word of the captions occurred: of private captions one may not want that. */
  readonly tagFrequency: boolean;
}

/** A header without what described the old file's bytes. */
export function keptMetadata(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const stale = /^(sshs_|format$|lora_adapter_metadata$|modelspec\.hash_)/;
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !stale.test(key)));
}

/** The header with its entries for people as they are given. */
export function editedMetadata(
  metadata: Readonly<Record<string, string>>,
  { title, triggerPhrase, description, author, license, tags, thumbnail, tagFrequency }: HeaderEdits,
): Record<string, string> {
  const entries: Readonly<Record<string, string>> = {
    ss_output_name: title,
    'modelspec.title': title,
    'modelspec.trigger_phrase': triggerPhrase,
    'modelspec.description': description,
    'modelspec.author': author,
    'modelspec.license': license,
    'modelspec.tags': tags,
    'modelspec.thumbnail': thumbnail ?? '',
  };
  const edited = { ...keptMetadata(metadata), ...entries };
  return Object.fromEntries(
    Object.entries(edited).filter(([key, value]) => value !== '' && (tagFrequency || key !== 'ss_tag_frequency')),
  );
}

/** What a header says of the rank; alpha is the rank in all that combineLoras makes. */
export function rankMetadata(rank: number): Record<string, string> {
  return { ss_network_dim: String(rank), ss_network_alpha: `${rank}.0` };
}

/** The header of several LoRAs that became one. `from`: what each is called, with its weight. */
export function mergedMetadata(title: string, { layers }: Combined, from: readonly string[]): Record<string, string> {
  return {
    ss_base_model_version: 'sd_v1',
    ss_network_module: 'networks.lora',
    ss_output_name: title,
    ...rankMetadata(Math.max(...layers.map(({ ranks }) => ranks[1]))),
    'modelspec.sai_model_spec': '1.0.1',
    'modelspec.architecture': 'stable-diffusion-v1/lora',
    'modelspec.implementation': 'diffusers',
    'modelspec.title': title,
    'modelspec.resolution': '512x512',
    'modelspec.merged_from': from.join(', '),
  };
}
