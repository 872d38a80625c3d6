import 'react-easy-crop/react-easy-crop.css';
import { RotateCcw } from 'lucide-react';
import { Slider } from 'radix-ui';
import { useCallback, useEffect, useRef, useState } from 'react';
import Cropper from 'react-easy-crop';
import {
  centreCrop,
  type CropChoice,
  cropFractions,
  maxZoom,
  placeImage,
  type SizeOptions,
} from '../../../core/buckets.ts';
import type { DatasetImage } from '../../../worker/protocol.ts';
import { Field } from '../../components/Field.tsx';
import { useStudio } from '../../StudioContext.tsx';
import type { OnEdit } from './ImageDialog.tsx';

interface CropEditorProps {
  readonly image: DatasetImage;
  readonly url: string;
  readonly sizes: SizeOptions;
  readonly onEdit: OnEdit;
}

/** The library's area, in percent of the picture. */
function areaOf(image: DatasetImage, sizes: SizeOptions, crop: CropChoice | null) {
  const { left, top, width, height } = cropFractions(placeImage(image, sizes, crop));
  return { x: left * 100, y: top * 100, width: width * 100, height: height * 100 };
}

/** A crop that is this near to the centre is the centre, as fractions of the picture. */
const nearCentre = 2e-3;

const rounded = (value: number): number => Math.round(value * 1e4) / 1e4;

/** The part of a picture that is trained on: drag it, zoom it, or move it with the arrow keys. */
export function CropEditor({ image, url, sizes, onEdit }: CropEditorProps) {
  const background = useStudio((state) => state.background);
  const imagesChanged = useStudio((state) => state.imagesChanged);
  const [point, setPoint] = useState({ x: 0, y: 0 });
  const [zoom, setZoom] = useState(image.crop?.zoom ?? 1);
  const [initial] = useState(() => areaOf(image, sizes, image.crop));
  const [choice, setChoice] = useState<CropChoice | null>(image.crop);
  const touched = useRef(false);
  const placement = placeImage(image, sizes, choice);
  const { bucket } = placement;
  const used = cropFractions(placement);
  const [usedWidth, usedHeight] = [Math.round(used.width * image.width), Math.round(used.height * image.height)];
  const enlarged = bucket.width / (used.width * image.width);

  /** Whether the picture is wider in shape than the stage. */
  const [isWide, setIsWide] = useState(image.width > image.height);
  const stage = useCallback(
    (element: HTMLDivElement) => {
      const observer = new ResizeObserver(() =>
        setIsWide(image.width / image.height > element.clientWidth / element.clientHeight),
      );
      observer.observe(element);
      return () => observer.disconnect();
    },
    [image.width, image.height],
  );

  useEffect(() => {
    onEdit(async () => {
      if (!touched.current) return;
      touched.current = false;
      await imagesChanged([{ id: image.id, crop: choice }], `Crop of ${image.fileName} changed`);
    });
  }, [onEdit, choice, image.id, image.fileName, imagesChanged]);

  const zoomTo = (value: number): void => {
    touched.current = true;
    setZoom(value);
  };
  return (
    <>
      <div className="image-stage" ref={stage}>
        <Cropper
          image={url}
          crop={point}
          zoom={zoom}
          minZoom={1}
          maxZoom={maxZoom}
          aspect={bucket.width / bucket.height}
          zoomSpeed={0.5}
          keyboardStep={4}
          disableAutomaticStylesInjection
          initialCroppedAreaPercentages={initial}
          // Not `contain`, which leaves small pictures small.
          objectFit={isWide ? 'horizontal-cover' : 'vertical-cover'}
          onCropChange={setPoint}
          onZoomChange={setZoom}
          onInteractionStart={() => {
            touched.current = true;
          }}
          onCropAreaChange={(area) => {
            // The library reports the area it begins with, too: that was nobody's choice.
            if (!touched.current) return;
            const x = rounded((area.x + area.width / 2) / 100);
            const y = rounded((area.y + area.height / 2) / 100);
            const isCentre =
              zoom === centreCrop.zoom && Math.abs(x - 0.5) < nearCentre && Math.abs(y - 0.5) < nearCentre;
            setChoice(isCentre ? null : { x, y, zoom: rounded(Math.min(Math.max(zoom, 1), maxZoom)) });
          }}
          classes={{ containerClassName: 'crop-container', cropAreaClassName: 'crop-area' }}
          style={image.hasAlpha ? { mediaStyle: { background } } : {}}
          cropperProps={{ 'aria-label': `Crop of ${image.fileName}: arrow keys move it` }}
        />
      </div>
      <div className="image-controls">
        <Field label="Zoom" aside={<span className="lora-weight">{zoom.toFixed(2)}×</span>}>
          {({ id }) => (
            <Slider.Root
              className="slider"
              min={1}
              max={maxZoom}
              step={0.05}
              value={[zoom]}
              onValueChange={([value = 1]) => zoomTo(value)}
            >
              <Slider.Track className="slider-track">
                <Slider.Range className="slider-range" />
              </Slider.Track>
              <Slider.Thumb id={id} className="slider-thumb" aria-label="Zoom of the crop" />
            </Slider.Root>
          )}
        </Field>
        <p className="field-hint">
          {usedWidth} × {usedHeight} pixels of the picture are trained at {bucket.width} × {bucket.height}.
        </p>
        {enlarged > 1.05 && (
          <p className="field-hint warn-text">
            They are enlarged {enlarged.toFixed(1)} times and will look soft: show more of the picture, or use a larger
            one.
          </p>
        )}
        <button
          type="button"
          className="button"
          disabled={choice === null}
          onClick={() => {
            zoomTo(centreCrop.zoom);
            setPoint({ x: 0, y: 0 });
            setChoice(null);
          }}
        >
          <RotateCcw size={14} aria-hidden="true" /> Back to the centre
        </button>
        <p className="field-hint">Drag the picture, or move it with the arrow keys; scroll or pinch to zoom.</p>
      </div>
    </>
  );
}
