/** Counts prompts with the tokenizer of a model that is stored here; the model itself is neither loaded nor fetched. */
import type { FileTree } from '../core/files.ts';
import { openTokenizer } from '../models/repository.ts';
import type { ClipTokenizer } from '../models/tokenizer.ts';
import { countTokens } from '../prompts/countTokens.ts';
import type { PromptCountRequest, StoredModel, TokenCount } from './protocol.ts';

/** The part of ModelStore that is used here. */
interface Trees {
  find(id: string): Promise<Pick<StoredModel, 'revision'> | undefined>;
  openTree(id: string): Promise<FileTree>;
}

export class PromptCounter {
  private last: { readonly model: string; readonly tokenizer: Promise<ClipTokenizer> } | null = null;

  constructor(private readonly models: Trees) {}

  /** Null while the model's files are not here. */
  async count({ modelId, prompt, numInferenceSteps: steps }: PromptCountRequest): Promise<TokenCount | null> {
    const stored = await this.models.find(modelId);
    if (stored === undefined) return null;
    const model = `${modelId}@${stored.revision}`;
    if (this.last?.model !== model) {
      const opening = { model, tokenizer: this.models.openTree(modelId).then(openTokenizer) };
      this.last = opening;
      // What could not be opened is tried again next time.
      opening.tokenizer.catch(() => {
        if (this.last === opening) this.last = null;
      });
    }
    return countTokens(prompt, await this.last.tokenizer, { steps });
  }
}
