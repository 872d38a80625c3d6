import { useId, useRef, useState } from 'react';
import { changeWeight, completeLora, type EditedText, loraQuery } from '../../../core/promptEditing.ts';
import { Field } from '../../components/Field.tsx';
import { TokenCounter } from '../../components/TokenCounter.tsx';
import { useLoraNames } from '../../hooks/useLoraNames.ts';
import { useStudio } from '../../StudioContext.tsx';
import type { ReactNode } from 'react';

interface PromptFieldProps {
  readonly field: 'prompt' | 'negativePrompt';
  readonly label: string;
  readonly placeholder: string;
  readonly rows: number;
  readonly hint?: ReactNode;
}

const weightStep = 0.1;
const shownNames = 7;

interface Completion {
  readonly start: number;
  readonly caret: number;
  readonly names: readonly string[];
  readonly active: number;
}

/**
 * A prompt as those who write many expect it: Ctrl+Up and Ctrl+Down weigh the selection, `<lora:` completes from what is here,
 * Ctrl+Enter draws, and a pasted text of a picture's parameters fills in the whole form.
 */
export function PromptField({ field, label, placeholder, rows, hint }: PromptFieldProps) {
  const text = useStudio((state) => state.generateForm[field]);
  const edited = useStudio((state) => state.generateFieldEdited);
  const generatePressed = useStudio((state) => state.generatePressed);
  const parametersPasted = useStudio((state) => state.parametersPasted);
  const names = useLoraNames();
  const [completion, setCompletion] = useState<Completion | null>(null);
  const area = useRef<HTMLTextAreaElement>(null);
  const listId = useId();

  const put = (next: EditedText): void => {
    edited(field, next.text);
    // After React has written the text, which moves the caret to its end.
    requestAnimationFrame(() => area.current?.setSelectionRange(next.start, next.end));
  };
  const offer = (value: string, caret: number): void => {
    const typed = field === 'prompt' ? loraQuery(value, caret) : null;
    const query = typed?.query.toLowerCase() ?? '';
    const found = typed === null ? [] : names.filter((name) => name.toLowerCase().includes(query)).slice(0, shownNames);
    setCompletion(typed === null || found.length === 0 ? null : { start: typed.start, caret, names: found, active: 0 });
  };
  const complete = (name: string | undefined): void => {
    if (completion === null || name === undefined) return;
    put(completeLora(text, completion.start, completion.caret, name, 1));
    setCompletion(null);
  };
  const keyPressed = (event: React.KeyboardEvent<HTMLTextAreaElement>): void => {
    const withCommand = event.ctrlKey || event.metaKey;
    const { selectionStart: start, selectionEnd: end } = event.currentTarget;
    const isArrow = event.key === 'ArrowUp' || event.key === 'ArrowDown';
    if (withCommand && isArrow) {
      event.preventDefault();
      put(changeWeight({ text, start, end }, event.key === 'ArrowUp' ? weightStep : -weightStep));
    } else if (withCommand && event.key === 'Enter') {
      event.preventDefault();
      generatePressed();
    } else if (completion !== null && isArrow) {
      event.preventDefault();
      const { length } = completion.names;
      const move = event.key === 'ArrowUp' ? length - 1 : 1;
      setCompletion({ ...completion, active: (completion.active + move) % length });
    } else if (completion !== null && (event.key === 'Enter' || event.key === 'Tab')) {
      event.preventDefault();
      complete(completion.names[completion.active]);
    } else if (completion !== null && event.key === 'Escape') {
      event.preventDefault();
      setCompletion(null);
    }
  };
  return (
    <Field
      label={label}
      hint={hint}
      {...(field === 'negativePrompt' ? { term: 'negativePrompt' } : { term: 'prompt' })}
    >
      {(control) => (
        <div className="prompt-area">
          <textarea
            {...control}
            ref={area}
            className="input prompt-input"
            rows={rows}
            value={text}
            placeholder={placeholder}
            aria-autocomplete={field === 'prompt' ? 'list' : 'none'}
            aria-controls={completion === null ? undefined : listId}
            aria-activedescendant={completion === null ? undefined : `${listId}-${completion.active}`}
            onChange={(event) => {
              edited(field, event.target.value);
              offer(event.target.value, event.target.selectionStart);
            }}
            onBlur={() => setCompletion(null)}
            onKeyDown={keyPressed}
            onPaste={(event) => {
              const pasted = event.clipboardData.getData('text/plain');
              if (!/^\s*Steps: \d+, /m.test(pasted)) return;
              event.preventDefault();
              void parametersPasted(pasted).then((taken) => {
                if (!taken) edited(field, text + pasted);
              });
            }}
          />
          {completion !== null && (
            // oxlint-disable-next-line jsx-a11y/prefer-tag-over-role -- the focus stays in the text, so that no select would do
            <div className="completion" id={listId} role="listbox" aria-label="LoRAs">
              {completion.names.map((name, index) => (
                <div
                  key={name}
                  id={`${listId}-${index}`}
                  className="completion-item"
                  // oxlint-disable-next-line jsx-a11y/prefer-tag-over-role -- see above
                  role="option"
                  tabIndex={-1}
                  aria-selected={index === completion.active}
                  onPointerDown={(event) => {
                    event.preventDefault();
                    complete(name);
                  }}
                >
                  {name}
                </div>
              ))}
            </div>
          )}
          <TokenCounter prompt={text} label={label.toLowerCase()} />
        </div>
      )}
    </Field>
  );
}
