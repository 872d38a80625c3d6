import { cropFractions, placeImage, type SizeOptions } from '../../../core/buckets.ts';
import type { DatasetImage } from '../../../worker/protocol.ts';
import { BlobImage } from '../../components/BlobImage.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { cropStyle, fitStyle } from './cropStyle.ts';

/** Black becomes the tint of what is not learned, white becomes clear. Once in the page, for all masks. */
export function MaskTint() {
  return (
    <svg className="visually-hidden" aria-hidden="true">
      <filter id="mask-tint" colorInterpolationFilters="sRGB">
        <feColorMatrix values="0 0 0 0 0.87  0 0 0 0 0.37  0 0 0 0 0.26  -0.21 -0.21 -0.2 0 0.62" />
      </filter>
    </svg>
  );
}

interface ImageFigureProps {
  readonly image: DatasetImage;
  readonly sizes: SizeOptions;
}

/** A whole picture in a square frame: what is cropped away is dimmed, what its mask leaves out is tinted. */
export function ImageFigure({ image, sizes }: ImageFigureProps) {
  const background = useStudio((state) => state.background);
  const crop = cropFractions(placeImage(image, sizes, image.crop));
  const isWhole = crop.width > 0.999 && crop.height > 0.999;
  return (
    <div className="image-fit" style={{ ...fitStyle(image), ...(image.hasAlpha ? { background } : {}) }}>
      <BlobImage
        blob={image.thumbnail}
        alt={image.caption === '' ? image.fileName : image.caption}
        className="image-thumb"
      />
      {image.mask !== null && <BlobImage blob={image.mask} alt="" className="image-mask" />}
      {!isWhole && <span className="image-crop" style={cropStyle(image, sizes)} />}
    </div>
  );
}
