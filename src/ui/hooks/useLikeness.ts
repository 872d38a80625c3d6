import { useEffect, useState } from 'react';
import type { Likeness } from '../../worker/protocol.ts';
import { useStudio } from '../StudioContext.tsx';

/** How alike two pictures are; null while that is not known, or where nothing is compared. */
export function useLikeness(first: Blob | null, second: Blob | null): Likeness | null {
  const [found, setFound] = useState<{ readonly of: readonly [Blob, Blob]; readonly likeness: Likeness | null } | null>(
    null,
  );
  const likenessAsked = useStudio((state) => state.likenessAsked);
  useEffect(() => {
    if (first === null || second === null) return;
    let isLatest = true;
    void likenessAsked(first, second).then((likeness) => {
      if (isLatest) setFound({ of: [first, second], likeness });
    });
    return () => {
      isLatest = false;
    };
  }, [likenessAsked, first, second]);
  return found?.of[0] === first && found.of[1] === second ? found.likeness : null;
}
