import { FolderOpen, Plus, Trash2 } from 'lucide-react';
import { useEffect } from 'react';
import { useDropzone } from 'react-dropzone';
import { formatBytes, plural } from '../../../store/format.ts';
import type { LibraryEmbedding } from '../../../worker/protocol.ts';
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
  const { getRootProps, getInputProps, isDragActive, open } = useDropzone({
    noClick: true,
    noKeyboard: true,
    onDrop: (files) => void dropped(files),
  });
  return (
    <>
      <div {...getRootProps({ className: isDragActive ? 'drop-line drop-line-active' : 'drop-line' })}>
        <input {...getInputProps({ 'aria-label': 'Add embedding files' })} data-testid="embedding-input" />
        <span>
          Drop textual-inversion files (.safetensors) here. Write an embedding’s name in either prompt, and it acts.
        </span>
        <button type="button" className="button button-small" onClick={open}>
          <FolderOpen size={14} aria-hidden="true" /> Choose files
        </button>
      </div>
      <ul className="picks" aria-label="Embeddings">
        {embeddings.map((embedding) => (
          <EmbeddingRow key={embedding.id} embedding={embedding} />
        ))}
      </ul>
    </>
  );
}
