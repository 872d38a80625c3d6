import type { CSSProperties } from 'react';
import { cropFractions, placeImage, type SizeOptions } from '../../../core/buckets.ts';
import type { DatasetImage } from '../../../worker/protocol.ts';
import { BlobImage } from '../../components/BlobImage.tsx';
import { useStudio } from '../../StudioContext.tsx';

interface ImageFigureProps {
  readonly image: DatasetImage;
  readonly sizes: SizeOptions;
}

const percent = (fraction: number): string => `${(fraction * 100).toFixed(3)}%`;

/** A whole picture in a square frame: what is cropped away is dimmed, what its mask leaves out is tinted. */
export function ImageFigure({ image, sizes }: ImageFigureProps) {
  const background = useStudio((state) => state.background);
  const { width, height } = image;
  const crop = cropFractions(placeImage(image, sizes, image.crop));
  const fit: CSSProperties = {
    width: percent(Math.min(1, width / height)),
    height: percent(Math.min(1, height / width)),
    ...(image.hasAlpha ? { background } : {}),
  };
  const isWhole = crop.width > 0.999 && crop.height > 0.999;
  return (
    <div className="image-fit" style={fit}>
      <BlobImage
        blob={image.thumbnail}
        alt={image.caption === '' ? image.fileName : image.caption}
        className="image-thumb"
      />
      {image.mask !== null && <BlobImage blob={image.mask} alt="" className="image-mask" />}
      {!isWhole && (
        <span
          className="image-crop"
          style={{
            left: percent(crop.left),
            top: percent(crop.top),
            width: percent(crop.width),
            height: percent(crop.height),
          }}
        />
      )}
    </div>
  );
}
