import { Slider } from 'radix-ui';
import { useState } from 'react';
import { BlobImage } from './BlobImage.tsx';

interface Side {
  readonly blob: Blob;
  readonly label: string;
}

/** Two pictures on one another; the bar shows the first on its left and the second on its right. Arrow keys move it. */
export function CompareWipe({ first, second }: { readonly first: Side; readonly second: Side }) {
  const [at, setAt] = useState(50);
  return (
    <div className="wipe">
      <BlobImage blob={second.blob} alt={`Second picture: ${second.label}`} className="wipe-picture" />
      <div className="wipe-first" style={{ clipPath: `inset(0 ${100 - at}% 0 0)` }}>
        <BlobImage blob={first.blob} alt={`First picture: ${first.label}`} className="wipe-picture" />
      </div>
      <span className="wipe-label" style={{ opacity: at > 12 ? 1 : 0 }}>
        {first.label}
      </span>
      <span className="wipe-label wipe-label-second" style={{ opacity: at < 88 ? 1 : 0 }}>
        {second.label}
      </span>
      <Slider.Root
        className="wipe-slider"
        value={[at]}
        min={0}
        max={100}
        step={1}
        onValueChange={([next]) => next !== undefined && setAt(next)}
      >
        <Slider.Track className="wipe-track" />
        <Slider.Thumb className="wipe-bar" aria-label="Where the first picture ends" />
      </Slider.Root>
    </div>
  );
}
