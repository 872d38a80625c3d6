/** What the page and the worker say about LoRA files as files: looked at, converted, resized, merged, baked. Part of protocol.ts. */
import type { LoraDescription } from '../export/describe.ts';
import type { HeaderEdits } from '../export/header.ts';
import type { ToolVerdict } from '../export/toolCheck.ts';
import type { LoraForm } from '../formats/lora/types.ts';
import type { LoraSource } from './generateProtocol.ts';

export type { HeaderEdits, LoraDescription, LoraForm, ToolVerdict };

/** A LoRA that is kept here, or a file that is only looked at. `config`: PEFT's adapter_config.json, where it lay beside the file. */
export type LoraInput = LoraSource | { readonly kind: 'dropped'; readonly file: File; readonly config?: File };

/** Everything that a LoRA file says of itself. */
export interface LoraReport {
  readonly fileName: string;
  readonly bytes: number;
  readonly description: LoraDescription;
  readonly tools: readonly ToolVerdict[];
  /** The header's entries as they are. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[] }[];
}

/** How a LoRA is to be written. */
export interface LoraWriteOptions {
  readonly form: LoraForm;
  readonly dtype: 'F16' | 'F32';
  /** Without it the header stays as it was. */
  readonly header?: HeaderEdits;
}

/** A file to be saved, and which tools will take it. Of PEFT's form it is a zip of the folder. */
export interface LoraWritten {
  readonly fileName: string;
  readonly blob: Blob;
  readonly tools: readonly ToolVerdict[];
}

/** A file at a lower rank, or several in one, with what that cost. */
export interface LoraCombined extends LoraWritten {
  /** What is lost, as a share of all that is changed: |before - after| / |before|, Frobenius. */
  readonly error: number;
  readonly layers: readonly {
    readonly module: string;
    readonly ranks: readonly [before: number, after: number];
    readonly error: number;
  }[];
}

export interface WeightedLoraInput {
  readonly input: LoraInput;
  readonly weight: number;
  readonly textEncoderWeight: number;
}

export interface BakeOptions {
  readonly modelId: string;
  readonly loras: readonly WeightedLoraInput[];
  /** A zip of a diffusers folder, or one file in the names that A1111, Forge and ComfyUI read. */
  readonly layout: 'folder' | 'single';
  readonly dtype: 'F16' | 'F32';
  readonly title: string;
}

export interface LoraToolRequests {
  'lora.report': [{ readonly input: LoraInput }, LoraReport];
  /** Sends `lora.progress`, as all from here on do. */
  'lora.write': [{ readonly input: LoraInput; readonly options: LoraWriteOptions }, LoraWritten];
  'lora.resize': [
    { readonly input: LoraInput; readonly rank: number; readonly options: LoraWriteOptions },
    LoraCombined,
  ];
  /** `rank` null keeps the sum of the ranks, which is exact. */
  'lora.merge': [
    {
      readonly loras: readonly WeightedLoraInput[];
      readonly rank: number | null;
      readonly title: string;
      readonly options: LoraWriteOptions;
    },
    LoraCombined,
  ];
  'lora.bake': [BakeOptions, { readonly fileName: string; readonly blob: Blob }];
}

export interface LoraToolEvents {
  'lora.progress': { readonly fraction: number; readonly etaSeconds: number | null; readonly detail: string };
}
