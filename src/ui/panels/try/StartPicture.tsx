import { Brush, ImagePlus, X } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { useDropzone } from 'react-dropzone';
import { openInitPicture } from '../../../store/initPicture.ts';
import { BlobImage } from '../../components/BlobImage.tsx';
import { Disclosure } from '../../components/Disclosure.tsx';
import { Field } from '../../components/Field.tsx';
import { Info } from '../../components/Info.tsx';
import { MaskPainter } from '../../components/MaskPainter.tsx';
import { Modal } from '../../components/Modal.tsx';
import { WeightSlider } from '../../components/WeightSlider.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { ChoiceField, NumberField } from './fields.tsx';

function useOpenPicture(): (file: Blob, name: string) => void {
  const changed = useStudio((state) => state.initPictureChanged);
  const toastShown = useStudio((state) => state.toastShown);
  return (file, name) => {
    openInitPicture(file, name).then(changed, () =>
      toastShown({
        kind: 'error',
        title: `${name} could not be read as a picture`,
        detail: 'Choose a PNG, JPEG, WebP, GIF or AVIF file.',
      }),
    );
  };
}

function Strength() {
  const value = useStudio((state) => state.generateForm.strength);
  const edited = useStudio((state) => state.generateFieldEdited);
  const redraw = useStudio((state) => state.redrawWished);
  return (
    <Field label="Strength" term="strength">
      {() => (
        <WeightSlider
          label="Strength"
          max={1}
          value={Number(value)}
          onChange={(next) => {
            edited('strength', String(Math.min(1, Math.max(0, Number(next.toFixed(2))))));
            redraw();
          }}
        />
      )}
    </Field>
  );
}

function MaskDialog({ open, onClose }: { readonly open: boolean; readonly onClose: () => void }) {
  const picture = useStudio((state) => state.initPicture);
  const changed = useStudio((state) => state.initPictureChanged);
  const [mask, setMask] = useState<Promise<Blob | null> | null>(null);
  if (picture === null) return null;
  return (
    <Modal
      open={open}
      onClose={onClose}
      size="wide"
      title="Paint what should be drawn again"
      detail="The rest of the picture is kept to the pixel."
      actions={
        <>
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button
            type="button"
            className="button button-primary"
            onClick={() => {
              void mask?.then((painted) => changed({ ...picture, mask: painted }));
              onClose();
            }}
          >
            Use this mask
          </button>
        </>
      }
    >
      <MaskPainter
        image={picture.image}
        width={picture.width}
        height={picture.height}
        mask={picture.mask}
        meaning="is drawn again"
        onChange={setMask}
      />
    </Modal>
  );
}

/** Image to image and inpainting: a picture to begin with, and a mask over it. */
export function StartPicture() {
  const picture = useStudio((state) => state.initPicture);
  const changed = useStudio((state) => state.initPictureChanged);
  const shown = useStudio((state) => state.pictures.find(({ id }) => id === state.shownPictureId));
  const openPicture = useOpenPicture();
  const [painting, setPainting] = useState(false);
  const start = useRef<HTMLDivElement>(null);
  const had = useRef(picture !== null);
  // It may have been chosen on the other side of the room, with this part of the form out of sight.
  useEffect(() => {
    if (picture !== null && !had.current) start.current?.scrollIntoView({ block: 'center' });
    had.current = picture !== null;
  }, [picture]);
  const { getRootProps, getInputProps, isDragActive, open } = useDropzone({
    accept: { 'image/*': [] },
    multiple: false,
    noClick: true,
    noKeyboard: true,
    onDrop: ([file]) => {
      if (file !== undefined) openPicture(file, file.name);
    },
  });
  const aside = picture === null ? 'none' : picture.mask === null ? picture.name : `${picture.name}, masked`;
  return (
    <Disclosure
      title="From a picture"
      aside={aside}
      key={picture === null ? 'none' : 'one'}
      startOpen={picture !== null}
    >
      {picture === null ? (
        <div {...getRootProps({ className: isDragActive ? 'drop-line drop-line-active' : 'drop-line' })}>
          <input {...getInputProps({ 'aria-label': 'Picture to begin with' })} data-testid="start-input" />
          <span>Drop a picture to draw from it, or to repaint a part of it.</span>
          <span className="row">
            <button type="button" className="button button-small" onClick={open}>
              <ImagePlus size={14} aria-hidden="true" /> Choose
            </button>
            {shown !== undefined && (
              <button
                type="button"
                className="button button-small"
                onClick={() => openPicture(shown.png, 'the shown picture')}
              >
                The one that is shown
              </button>
            )}
          </span>
        </div>
      ) : (
        <>
          <div className="start" ref={start}>
            <div className="start-frame">
              <BlobImage blob={picture.image} alt="The picture to begin with" className="start-picture" />
              {picture.mask !== null && <BlobImage blob={picture.mask} alt="" className="start-picture start-mask" />}
            </div>
            <div className="start-tools">
              <button type="button" className="button button-small" onClick={() => setPainting(true)}>
                <Brush size={14} aria-hidden="true" /> {picture.mask === null ? 'Paint a mask' : 'Change the mask'}
              </button>
              {picture.mask !== null && (
                <button
                  type="button"
                  className="button button-small"
                  onClick={() => changed({ ...picture, mask: null })}
                >
                  <X size={14} aria-hidden="true" /> No mask
                </button>
              )}
              <button type="button" className="button button-small" onClick={() => changed(null)}>
                <X size={14} aria-hidden="true" /> No picture
              </button>
              <p className="field-hint">
                {picture.width} × {picture.height} px
              </p>
            </div>
          </div>
          <Strength />
          <div className="pair">
            <ChoiceField
              field="resizeMode"
              label="To size"
              options={[
                ['crop', 'Crop the middle'],
                ['stretch', 'Stretch'],
              ]}
            />
            {picture.mask !== null && <NumberField field="maskBlur" suffix="px" />}
          </div>
          {picture.mask !== null && (
            <p className="field-hint">
              Inpainting <Info term="inpainting" label="inpainting" /> draws the painted part only.
            </p>
          )}
          <MaskDialog key={String(painting)} open={painting} onClose={() => setPainting(false)} />
        </>
      )}
    </Disclosure>
  );
}
