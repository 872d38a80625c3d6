import { CircleAlert, CircleCheck, X } from 'lucide-react';
import { useDropzone } from 'react-dropzone';
import { useStudio } from '../../StudioContext.tsx';
import { PromptField } from './PromptField.tsx';

/** What came back from a picture, and what could not. */
function RestoredNote() {
  const restored = useStudio((state) => state.restored);
  const restoredDismissed = useStudio((state) => state.restoredDismissed);
  if (restored === null) return null;
  const { from, missing } = restored;
  const Icon = missing.length === 0 ? CircleCheck : CircleAlert;
  return (
    <output className={missing.length === 0 ? 'restored' : 'restored restored-partly'} data-testid="restored">
      <Icon size={15} aria-hidden="true" />
      <div>
        <p>
          {missing.length === 0 ? 'All settings restored' : 'Settings restored'} from {from}
          {missing.length === 0 ? '.' : ', but for these:'}
        </p>
        {missing.length > 0 && (
          <ul>
            {missing.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        )}
      </div>
      <button type="button" className="icon-button" aria-label="Dismiss" onClick={restoredDismissed}>
        <X size={13} aria-hidden="true" />
      </button>
    </output>
  );
}

/** Both prompts. A picture dropped on them brings all its settings back. */
export function PromptBox() {
  const settingsDropped = useStudio((state) => state.settingsDropped);
  const trigger = useStudio((state) => {
    const words = state.shelf.flatMap(({ source, enabled }) =>
      source.kind === 'run' && enabled ? [state.runs.find(({ id }) => id === source.runId)?.triggerWord ?? ''] : [],
    );
    const prompt = state.generateForm.prompt.toLowerCase();
    return words.find((word) => word !== '' && !prompt.includes(word.toLowerCase())) ?? '';
  });
  const prompt = useStudio((state) => state.generateForm.prompt);
  const edited = useStudio((state) => state.generateFieldEdited);
  const { getRootProps, getInputProps, isDragActive } = useDropzone({
    accept: { 'image/png': ['.png'], 'image/webp': ['.webp'], 'image/jpeg': ['.jpg', '.jpeg'] },
    multiple: false,
    noClick: true,
    noKeyboard: true,
    onDrop: ([file]) => {
      if (file !== undefined) void settingsDropped(file);
    },
  });
  const hint =
    trigger === '' ? undefined : (
      <button
        type="button"
        className="link"
        onClick={() => edited('prompt', prompt === '' ? trigger : `${trigger}, ${prompt}`)}
      >
        Add the trigger word “{trigger}”
      </button>
    );
  return (
    <section {...getRootProps({ role: 'region', className: 'group prompt-box' })} aria-label="Prompts">
      <input {...getInputProps({ 'aria-label': 'Restore settings from a picture' })} data-testid="settings-input" />
      <PromptField
        field="prompt"
        label="Prompt"
        rows={4}
        placeholder={trigger === '' ? 'a lighthouse at dusk, oil painting' : `${trigger}, a lighthouse at dusk`}
        hint={hint}
      />
      <PromptField field="negativePrompt" label="Negative prompt" rows={2} placeholder="blurry, text" />
      <RestoredNote />
      {isDragActive && (
        <div className="prompt-veil" aria-hidden="true">
          Let go to restore its settings
        </div>
      )}
    </section>
  );
}
