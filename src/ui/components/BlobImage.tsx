import { useCallback } from 'react';

interface BlobImageProps {
  readonly blob: Blob;
  readonly alt: string;
  readonly className?: string;
}

/** Pictures up to this many pixels wide look out of focus when they are shown large and smoothed; base.css sees to them. */
export const tinyWidth = 96;

/** A picture that lies in memory or in the browser's storage. Its address lives exactly as long as it is shown. */
export function BlobImage({ blob, alt, className }: BlobImageProps) {
  const show = useCallback(
    (image: HTMLImageElement) => {
      const url = URL.createObjectURL(blob);
      image.src = url;
      return () => URL.revokeObjectURL(url);
    },
    [blob],
  );
  return (
    <img
      ref={show}
      className={className}
      alt={alt}
      draggable={false}
      onLoad={({ currentTarget }) =>
        currentTarget.toggleAttribute('data-tiny', currentTarget.naturalWidth <= tinyWidth)
      }
    />
  );
}
