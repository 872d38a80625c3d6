import { Plus, RotateCcw, X } from 'lucide-react';
import { useMemo, useState } from 'react';
import {
  isPromptLines,
  readPromptLines,
  samplePromptsOf as asSamplePrompts,
  writePromptLine,
} from '../../core/promptLines.ts';
import { errorsInForm } from '../../store/trainSettings.ts';
import { samplePromptsOf } from '../../store/trainRequest.ts';
import type { SamplePrompt } from '../../worker/protocol.ts';
import { useStudio } from '../StudioContext.tsx';

const MOST = 8;

/** What a prompt says beside its text and seed, as kohya writes it. */
function moreOf(entry: SamplePrompt): string {
  const { seed: _seed, ...more } = entry;
  return writePromptLine({ ...more, prompt: '' });
}

interface RowProps {
  readonly entry: SamplePrompt;
  readonly index: number;
  readonly onChange: (entries: readonly SamplePrompt[]) => void;
  readonly onProblems: (problems: readonly string[]) => void;
}

function PromptRow({ entry, index, onChange, onProblems }: RowProps) {
  const more = moreOf(entry);
  const read = (text: string): void => {
    const { lines, problems } = readPromptLines(text);
    const { prompts, problems: others } = asSamplePrompts(lines, entry.seed);
    onProblems([...problems, ...others]);
    if (prompts.length > 0) onChange(prompts);
  };
  return (
    <li>
      <span className="prompt-main">
        <input
          className="input"
          aria-label={`Sample prompt ${index + 1}`}
          value={entry.prompt}
          onChange={(event) => onChange([{ ...entry, prompt: event.target.value }])}
          onPaste={(event) => {
            const text = event.clipboardData.getData('text');
            if (!isPromptLines(text)) return;
            event.preventDefault();
            read(text);
          }}
          onBlur={() => {
            if (isPromptLines(entry.prompt)) read(entry.prompt);
          }}
        />
        {more !== '' && (
          <span className="prompt-more">
            {more}
            <button
              type="button"
              className="icon-button icon-button-small"
              aria-label={`Forget the options of sample prompt ${index + 1}`}
              onClick={() => onChange([{ prompt: entry.prompt, seed: entry.seed }])}
            >
              <X size={11} aria-hidden="true" />
            </button>
          </span>
        )}
      </span>
      <input
        className="input input-seed"
        aria-label={`Seed of sample prompt ${index + 1}`}
        inputMode="numeric"
        value={entry.seed}
        onChange={(event) => {
          const value = Number(event.target.value);
          if (Number.isInteger(value) && value >= 0 && value <= 4_294_967_295) onChange([{ ...entry, seed: value }]);
        }}
      />
      <button
        type="button"
        className="icon-button"
        aria-label={`Remove sample prompt ${index + 1}`}
        onClick={() => onChange([])}
      >
        <X size={14} aria-hidden="true" />
      </button>
    </li>
  );
}

/** The prompts of the sample grid. A paste in kohya's syntax, of one line or several, is taken apart. */
export function SamplePrompts() {
  // As text, so that the selector's result can be compared.
  const json = useStudio((state) => JSON.stringify(samplePromptsOf(state)));
  const list = useMemo(() => JSON.parse(json) as readonly SamplePrompt[], [json]);
  const isEdited = useStudio((state) => state.editedPrompts !== null);
  const error = useStudio((state) => errorsInForm(state).samplePrompts);
  const edited = useStudio((state) => state.samplePromptsEdited);
  const [problems, setProblems] = useState<readonly string[]>([]);
  return (
    <div className="stack-tight">
      <ul className="prompt-list">
        {list.map((entry, index) => (
          <PromptRow
            key={index}
            entry={entry}
            index={index}
            onChange={(entries) => edited(list.toSpliced(index, 1, ...entries).slice(0, MOST))}
            onProblems={setProblems}
          />
        ))}
      </ul>
      {error !== undefined && <p className="field-error">{error}</p>}
      {problems.map((problem) => (
        <p key={problem} className="field-hint warn-text">
          {problem}
        </p>
      ))}
      <div className="row">
        <button
          type="button"
          className="button button-small"
          disabled={list.length >= MOST}
          onClick={() => edited([...list, { prompt: '', seed: (list.at(-1)?.seed ?? 41) + 1 }])}
        >
          <Plus size={13} aria-hidden="true" /> Add prompt
        </button>
        {isEdited && (
          <button type="button" className="button button-small button-quiet" onClick={() => edited(null)}>
            <RotateCcw size={13} aria-hidden="true" /> Suggest again
          </button>
        )}
      </div>
    </div>
  );
}
