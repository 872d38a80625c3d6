import { useEffect, useSyncExternalStore } from 'react';
import { useStudio } from '../StudioContext.tsx';

const darkQuery = '(prefers-color-scheme: dark)';

function watchSystem(changed: () => void): () => void {
  const query = matchMedia(darkQuery);
  query.addEventListener('change', changed);
  return () => query.removeEventListener('change', changed);
}

/** `light` or `dark` as it is shown now; keeps `data-theme` on the document in step with the choice. */
export function useTheme(): 'light' | 'dark' {
  const theme = useStudio((state) => state.theme);
  const systemIsDark = useSyncExternalStore(watchSystem, () => matchMedia(darkQuery).matches);
  useEffect(() => {
    if (theme === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
  }, [theme]);
  if (theme !== 'system') return theme;
  return systemIsDark ? 'dark' : 'light';
}
