import { Plus, Trash2 } from 'lucide-react';
import { useEffect } from 'react';
import { formatBytes, plural } from '../../../store/format.ts';
import type { LibraryEmbedding } from '../../../worker/protocol.ts';
import { DropLine } from '../../components/DropLine.tsx';
import { useStudio } from '../../StudioContext.tsx';

function EmbeddingRow({ embedding }: { readonly embedding: LibraryEmbedding }) {
  const { id, fileName, names, tokens, width, bytes } = embedding;
  const prompt = useStudio((state) => state.generateForm.prompt);
  const edited = useStudio((state) => state.generateFieldEdited);
  const removed = useStudio((state) => state.embeddingRemoved);
  return (
    <li className="pick">
      <div className="lora-title">
        <strong title={fileName}>{names.join(', ')}</strong>
        <span>
          {plural(tokens, 'token')} · {width} wide · {formatBytes(bytes)}
        </span>
      </div>
      <button
        type="button"
        className="icon-button icon-button-small"
        aria-label={`Remove ${fileName} from this browser`}
        onClick={() => void removed(id)}
      >
        <Trash2 size={14} aria-hidden="true" />
      </button>
      {names.map((name) => (
        <button
          key={name}
          type="button"
          className="button button-small"
          disabled={prompt.includes(name)}
          onClick={() => edited('prompt', prompt === '' ? name : `${prompt.replace(/[,\s]+$/, '')}, ${name}`)}
        >
          <Plus size={14} aria-hidden="true" /> {name}
        </button>
      ))}
    </li>
  );
}

/** Textual-inversion files: each adds words that both prompts may use. */
export function Embeddings() {
  const embeddings = useStudio((state) => state.embeddings);
  const dropped = useStudio((state) => state.embeddingFilesDropped);
  const refreshed = useStudio((state) => state.embeddingsRefreshed);
  useEffect(() => void refreshed(), [refreshed]);
  return (
    <>
      <DropLine label="Add embedding files" testId="embedding-input" onFiles={(files) => void dropped(files)}>
        Drop textual-inversion files (.safetensors) here. Write an embedding’s name in either prompt, and it acts.
      </DropLine>
      <ul className="picks" aria-label="Embeddings">
        {embeddings.map((embedding) => (
          <EmbeddingRow key={embedding.id} embedding={embedding} />
        ))}
      </ul>
    </>
  );
}
