/** Where the alphas stand that no tensor has: in the adapter_config.json of a PEFT folder, or in a file's header. */
import { parsePythonJson } from '../pythonJson.ts';
import type { SafetensorsFile } from '../safetensors.ts';
import { flatten, type LoraKey } from './keys.ts';

export type AlphaOf = (key: LoraKey, rank: number) => number;

type Config = Readonly<Record<string, unknown>>;

function isRecord(value: unknown): value is Config {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** lora_alpha (LoHa's and LoKr's: alpha), or that of the pattern that ends the layer's path; rank-stabilised LoRA folded in. */
function alphaFromConfig(config: Config): AlphaOf {
  const common = config['lora_alpha'] ?? config['alpha'];
  const given = config['alpha_pattern'];
  const patterns = Object.entries(isRecord(given) ? given : {}).map(
    ([pattern, alpha]) => [flatten(pattern.replace(/^\^/, '')), alpha] as const,
  );
  return ({ flattened }, rank) => {
    const special = patterns.find(([pattern]) => flattened === pattern || flattened.endsWith(`_${pattern}`))?.[1];
    const alpha = special ?? common;
    if (typeof alpha !== 'number') return rank;
    return config['use_rslora'] === true ? alpha * Math.sqrt(rank) : alpha;
  };
}

/**
 * The alphas that `adapterConfig` gives, or the header's lora_adapter_metadata (diffusers), whose fields begin with the part of the
 * model. Without any, alpha is the rank: the factor is 1.
 *
 * @throws {JsonSyntaxError} if the header's entry is no JSON.
 */
export function configuredAlpha(file: SafetensorsFile, adapterConfig: Config | undefined): AlphaOf {
  if (adapterConfig !== undefined) return alphaFromConfig(adapterConfig);
  const text = file.metadata['lora_adapter_metadata'];
  const all = text === undefined ? undefined : parsePythonJson(`${file.fileName}: lora_adapter_metadata`, text);
  if (!isRecord(all)) return (_key, rank) => rank;
  const partOf = (prefix: string): AlphaOf => {
    const fields = Object.entries(all).filter(([name]) => name.startsWith(prefix));
    return alphaFromConfig(Object.fromEntries(fields.map(([name, value]) => [name.slice(prefix.length), value])));
  };
  const [unet, textEncoder] = [partOf('unet.'), partOf('text_encoder.')];
  return (key, rank) => (key.target === 'unet' ? unet : textEncoder)(key, rank);
}
