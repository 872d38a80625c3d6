import { useState } from 'react';
import type { DatasetImage } from '../../../worker/protocol.ts';
import { useStudio } from '../../StudioContext.tsx';

/** An image's caption, stored when it is left. */
export function CaptionField({ image }: { readonly image: DatasetImage }) {
  const captionEdited = useStudio((state) => state.captionEdited);
  // Only what is being typed; otherwise the caption itself, which an edit of many captions may change.
  const [draft, setDraft] = useState<string | null>(null);
  const text = draft ?? image.caption;
  return (
    <textarea
      className={text.trim() === '' ? 'caption caption-empty' : 'caption'}
      aria-label={`Caption of ${image.fileName}`}
      placeholder="What is on the picture?"
      rows={3}
      value={text}
      onChange={(event) => setDraft(event.target.value)}
      onBlur={() => {
        const caption = text.trim();
        if (caption !== image.caption) void captionEdited(image.id, caption);
        setDraft(null);
      }}
    />
  );
}
