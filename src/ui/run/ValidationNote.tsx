import { GraduationCap, TriangleAlert } from 'lucide-react';
import { readValidation } from '../../store/runRecords.ts';
import type { ValidationPoint } from '../../worker/protocol.ts';

/** What the loss on held-out images says, in words. */
export function ValidationNote({
  points,
}: {
  readonly points: readonly Pick<ValidationPoint, 'globalStep' | 'loss'>[];
}) {
  const verdict = readValidation(points);
  if (verdict === null) return null;
  const Icon = verdict.kind === 'memorising' ? TriangleAlert : GraduationCap;
  return (
    <p
      className={verdict.kind === 'memorising' ? 'validation-note validation-warn' : 'validation-note'}
      data-testid="validation-verdict"
    >
      <Icon size={16} aria-hidden="true" />
      <span>{verdict.text}</span>
    </p>
  );
}
