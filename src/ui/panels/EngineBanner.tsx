import { RotateCw, TriangleAlert } from 'lucide-react';
import { useStudio } from '../StudioContext.tsx';

/** The GPU or the engine is gone: only a reload brings it back. */
export function EngineBanner() {
  const error = useStudio((state) => state.engineLost);
  if (error === null) return null;
  return (
    <div className="banner" role="alert">
      <TriangleAlert size={18} aria-hidden="true" />
      <p>
        <strong>{error.message}</strong> {error.remedy}
      </p>
      <button type="button" className="button" onClick={() => location.reload()}>
        <RotateCw size={14} aria-hidden="true" /> Reload
      </button>
    </div>
  );
}
