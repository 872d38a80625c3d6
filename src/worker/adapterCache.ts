import type { Adapter } from '../adapter/lora.ts';
import { readAdapterFile } from '../export/runFile.ts';
import { loraShortHash } from '../formats/loraHash.ts';
import type { DiffusionModel } from '../models/repository.ts';
import { adaptableModules } from '../session/training.ts';
import type { RunStore } from '../storage/runStore.ts';

interface RunLora {
  readonly name: string;
  readonly adapter: Adapter;
  readonly hash: string;
}

/** Adapters of stored runs, parsed once per version, so that moving a slider reads nothing. */
export class AdapterCache {
  private readonly known = new Map<string, { readonly version: string; readonly lora: RunLora }>();

  constructor(private readonly runs: RunStore) {}

  async get(runId: string, model: DiffusionModel): Promise<RunLora> {
    const run = await this.runs.get(runId);
    const version = `${run.globalStep}@${run.finishedAt ?? 0}@${run.name}@${model.name}`;
    const cached = this.known.get(runId);
    if (cached?.version === version) return cached.lora;
    const bytes = await this.runs.adapter(runId);
    const { adapter } = await readAdapterFile(run.name, bytes, adaptableModules(model));
    const lora = { name: run.name, adapter, hash: loraShortHash(bytes) };
    this.known.set(runId, { version, lora });
    return lora;
  }
}
