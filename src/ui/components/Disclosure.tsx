import { ChevronRight } from 'lucide-react';
import { type ReactNode, useId, useState } from 'react';

interface DisclosureProps {
  readonly title: string;
  /** Said beside the title, e.g. what is set in there while it is closed. */
  readonly aside?: ReactNode;
  readonly startOpen?: boolean;
  readonly children: ReactNode;
}

/** What need not be seen at first. Its content is made when it is opened. */
export function Disclosure({ title, aside, startOpen = false, children }: DisclosureProps) {
  const [open, setOpen] = useState(startOpen);
  const id = useId();
  return (
    <div className="disclosed">
      <div className="disclosed-head">
        <button
          type="button"
          className="disclosure"
          aria-expanded={open}
          aria-controls={id}
          onClick={() => setOpen(!open)}
        >
          <ChevronRight size={14} aria-hidden="true" /> {title}
        </button>
        {aside !== undefined && <span className="disclosed-aside">{aside}</span>}
      </div>
      <div id={id} className="disclosed-body" hidden={!open}>
        {open && children}
      </div>
    </div>
  );
}
