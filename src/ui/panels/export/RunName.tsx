import { Pencil } from 'lucide-react';
import { useState } from 'react';
import type { StoredRun } from '../../../worker/protocol.ts';
import { useStudio } from '../../StudioContext.tsx';

/** For a field that appears because somebody asked to type into it. */
function focusAndSelect(input: HTMLInputElement | null): void {
  input?.focus();
  input?.select();
}

/** The run's name, which a click on the pencil changes. */
export function RunName({ run }: { readonly run: StoredRun }) {
  const [draft, setDraft] = useState<string | null>(null);
  const runRenamed = useStudio((state) => state.runRenamed);
  const commit = (): void => {
    const name = draft?.trim() ?? '';
    setDraft(null);
    if (name !== '' && name !== run.name) void runRenamed(run.id, name);
  };
  if (draft === null) {
    return (
      <div className="run-name">
        <h1>{run.name}</h1>
        <button
          type="button"
          className="icon-button"
          aria-label={`Rename ${run.name}`}
          onClick={() => setDraft(run.name)}
        >
          <Pencil size={14} aria-hidden="true" />
        </button>
      </div>
    );
  }
  return (
    <input
      className="input run-name-input"
      aria-label="New name"
      value={draft}
      ref={focusAndSelect}
      onChange={(event) => setDraft(event.target.value)}
      onBlur={commit}
      onKeyDown={(event) => {
        if (event.key === 'Enter') commit();
        if (event.key === 'Escape') setDraft(null);
      }}
    />
  );
}
