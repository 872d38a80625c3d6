import { CircleQuestionMark } from 'lucide-react';
import { Tooltip } from 'radix-ui';
import type { ReactNode } from 'react';
import { glossary, type Term } from '../glossary.ts';

/** Anything with a hint that appears on hover and focus. `children` must be one element that can take focus. */
export function Hint({ text, children }: { readonly text: ReactNode; readonly children: ReactNode }) {
  return (
    <Tooltip.Root>
      <Tooltip.Trigger asChild>{children}</Tooltip.Trigger>
      <Tooltip.Portal>
        <Tooltip.Content className="tooltip" sideOffset={6} collisionPadding={12}>
          {text}
        </Tooltip.Content>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}

interface InfoProps {
  readonly label: string;
  /** Of the glossary; else what `text` says. */
  readonly term?: Term;
  readonly text?: string;
}

/** The small question mark beside a word of the trade. */
export function Info({ term, text, label }: InfoProps) {
  return (
    <Hint text={term === undefined ? text : glossary[term]}>
      <button type="button" className="info" aria-label={`What is ${label}?`}>
        <CircleQuestionMark size={13} aria-hidden="true" />
      </button>
    </Hint>
  );
}
