import { CircleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import type { PlainError } from '../../core/errors.ts';

/** What went wrong and what to do, where it went wrong. */
export function ErrorNote({ error, children }: { readonly error: PlainError; readonly children?: ReactNode }) {
  return (
    <div className="error-note" role="alert">
      <CircleAlert size={16} aria-hidden="true" />
      <div>
        <p className="error-message">{error.message}</p>
        {error.remedy !== '' && <p className="error-remedy">{error.remedy}</p>}
        {children}
      </div>
    </div>
  );
}
