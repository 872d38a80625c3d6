import { useEffect, useState } from 'react';
import { useStudio } from '../StudioContext.tsx';

/** The address of a picture to look at closely; null while it is being read. */
export function usePreview(id: string): string | null {
  const imagePreviewNeeded = useStudio((state) => state.imagePreviewNeeded);
  const [shown, setShown] = useState<{ readonly id: string; readonly url: string } | null>(null);
  useEffect(() => {
    let url: string | null = null;
    let left = false;
    void imagePreviewNeeded(id).then((blob) => {
      if (blob === null || left) return;
      url = URL.createObjectURL(blob);
      setShown({ id, url });
    });
    return () => {
      left = true;
      if (url !== null) URL.revokeObjectURL(url);
    };
  }, [id, imagePreviewNeeded]);
  return shown?.id === id ? shown.url : null;
}
