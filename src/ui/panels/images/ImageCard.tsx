import { Brush, Crop, FlaskConical, X } from 'lucide-react';
import { memo } from 'react';
import { bucketOf, type SizeOptions } from '../../../core/buckets.ts';
import type { DatasetImage } from '../../../worker/protocol.ts';
import { Hint } from '../../components/Info.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { CaptionField } from './CaptionField.tsx';
import { ImageFigure } from './ImageFigure.tsx';

export type ImageTool = 'crop' | 'mask';

interface ImageCardProps {
  readonly image: DatasetImage;
  readonly sizes: SizeOptions;
  readonly onOpen: (id: string, tool: ImageTool) => void;
}

/** What is special about an image, in small signs. */
function Badges({ image }: { readonly image: DatasetImage }) {
  const { repeats, heldOut } = image;
  if ((repeats === null || repeats === 1) && !heldOut) return null;
  return (
    <span className="image-badges">
      {repeats !== null && repeats !== 1 && <span className="badge">×{repeats}</span>}
      {heldOut && (
        <span className="badge badge-held">
          <FlaskConical size={11} aria-hidden="true" /> Validation
        </span>
      )}
    </span>
  );
}

export const ImageCard = memo(function ImageCard({ image, sizes, onOpen }: ImageCardProps) {
  const selected = useStudio((state) => state.selectedImageIds.has(image.id));
  const imageSelectionToggled = useStudio((state) => state.imageSelectionToggled);
  const imagesRemoved = useStudio((state) => state.imagesRemoved);
  const { bucket } = bucketOf(image, sizes);
  return (
    <li className={selected ? 'image-card image-card-selected' : 'image-card'}>
      <div className="image-frame">
        <ImageFigure image={image} sizes={sizes} />
        <label className="image-check">
          <input
            type="checkbox"
            checked={selected}
            onChange={() => imageSelectionToggled(image.id)}
            aria-label={`Select ${image.fileName}`}
          />
        </label>
        <button
          type="button"
          className="icon-button image-button image-remove"
          aria-label={`Remove ${image.fileName}`}
          onClick={() => void imagesRemoved([image.id])}
        >
          <X size={14} aria-hidden="true" />
        </button>
        <Badges image={image} />
        <span className="image-tools">
          <Hint text={image.crop === null ? 'Choose the part to learn from' : 'Crop (chosen by you)'}>
            <button
              type="button"
              className="icon-button image-button"
              aria-label={`Crop ${image.fileName}`}
              data-set={image.crop !== null}
              onClick={() => onOpen(image.id, 'crop')}
            >
              <Crop size={14} aria-hidden="true" />
            </button>
          </Hint>
          <Hint text={image.mask === null ? 'Paint what matters' : 'Mask (painted)'}>
            <button
              type="button"
              className="icon-button image-button"
              aria-label={`Mask of ${image.fileName}`}
              data-set={image.mask !== null}
              onClick={() => onOpen(image.id, 'mask')}
            >
              <Brush size={14} aria-hidden="true" />
            </button>
          </Hint>
        </span>
      </div>
      <div className="image-facts">
        <span className="image-name" title={`${image.fileName}, ${image.width} × ${image.height}`}>
          {image.fileName}
        </span>
        <span className="image-size" title={`The picture has ${image.width} × ${image.height} pixels`}>
          {bucket.width} × {bucket.height}
        </span>
      </div>
      <CaptionField image={image} />
    </li>
  );
});
