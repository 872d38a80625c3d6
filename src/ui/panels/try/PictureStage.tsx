import { describeBeside, describePicture, drawnWith } from '../../../store/gallery.ts';
import { formatDuration } from '../../../store/format.ts';
import { runningJob } from '../../../store/generate.ts';
import type { GalleryPicture } from '../../../worker/protocol.ts';
import { BlobImage } from '../../components/BlobImage.tsx';
import { CompareWipe } from '../../components/CompareWipe.tsx';
import { Info } from '../../components/Info.tsx';
import { LogoMark } from '../../components/Logo.tsx';
import { RgbCanvas } from '../../components/RgbCanvas.tsx';
import { ZoomPane } from '../../components/ZoomPane.tsx';
import { useLikeness } from '../../hooks/useLikeness.ts';
import { useStudio } from '../../StudioContext.tsx';
import { Filmstrip } from './Filmstrip.tsx';
import { PictureActions } from './PictureActions.tsx';

function Facts({ picture, compared }: { readonly picture: GalleryPicture; readonly compared: GalleryPicture | null }) {
  const { request, width, height, milliseconds } = picture;
  return (
    <div className="result-text">
      <p title={request.prompt}>{request.prompt === '' ? 'no prompt' : request.prompt}</p>
      <p className="result-facts">
        {picture.plot ? describePicture(picture) : drawnWith(picture).join(' · ')} · {width} × {height} ·{' '}
        {formatDuration(milliseconds / 1000)}
      </p>
      {compared !== null && <LikenessFacts first={compared} second={picture} />}
    </div>
  );
}

/** How alike the two pictures are that are compared. */
function LikenessFacts({ first, second }: { readonly first: GalleryPicture; readonly second: GalleryPicture }) {
  const likeness = useLikeness(first.png, second.png);
  if (likeness === null) return null;
  const { psnr, ssim } = likeness;
  return (
    <p className="result-facts" data-testid="likeness">
      {psnr === Infinity ? (
        'The two pictures are the same to the bit'
      ) : (
        <>
          PSNR {psnr.toFixed(1)} dB <Info term="psnr" label="PSNR" /> · SSIM {ssim.toFixed(3)}{' '}
          <Info term="ssim" label="SSIM" />
        </>
      )}
    </p>
  );
}

/** What the pictures in work are becoming, in place of the finished one. */
function Preview() {
  const previews = useStudio((state) => runningJob(state)?.progress?.previews);
  const request = useStudio((state) => runningJob(state)?.request);
  if (previews === undefined || previews.length === 0 || request === undefined) return null;
  return (
    <div className="previews" data-count={Math.min(4, previews.length)}>
      {previews.slice(0, 4).map((image, index) => (
        <div key={index} className="fit" style={{ '--ratio': request.width / request.height } as React.CSSProperties}>
          <RgbCanvas image={image} label="What the picture is becoming" />
        </div>
      ))}
    </div>
  );
}

function Empty() {
  const busy = useStudio((state) => runningJob(state) !== null);
  return (
    <div className="try-empty">
      <LogoMark size={56} />
      <h2 className="headline">{busy ? 'Drawing…' : 'Your first picture appears here'}</h2>
      <p hidden={busy}>
        Write a prompt, put a LoRA on the shelf, press Generate. Then move its slider: the same seed is drawn again with
        more or less of it. A picture made elsewhere? Drop its PNG on the prompt, and its settings come back.
      </p>
    </div>
  );
}

/** One picture large, or two compared, or the one that is being drawn. */
export function PictureStage() {
  const picture = useStudio((state) => state.pictures.find(({ id }) => id === state.shownPictureId) ?? null);
  const compared = useStudio((state) => state.pictures.find(({ id }) => id === state.comparedPictureId) ?? null);
  const busy = useStudio((state) => runningJob(state) !== null);
  const hasPreview = useStudio((state) => (runningJob(state)?.progress?.previews.length ?? 0) > 0);
  const stepped = useStudio((state) => state.pictureStepped);
  if (picture === null && !hasPreview) return <Empty />;
  return (
    <>
      <figure className="result" aria-busy={busy}>
        <div className="result-frame">
          {hasPreview && compared === null ? (
            <Preview />
          ) : (
            picture !== null && (
              <ZoomPane
                key={compared === null ? 'one' : 'two'}
                width={picture.width}
                height={picture.height}
                label={compared === null ? 'Picture' : 'Two pictures compared'}
                onStep={stepped}
              >
                {compared === null ? (
                  <BlobImage
                    blob={picture.png}
                    alt={`Generated picture: ${picture.request.prompt}`}
                    className="result-picture"
                  />
                ) : (
                  <CompareWipe
                    first={{ blob: compared.png, label: describeBeside(compared, picture) }}
                    second={{ blob: picture.png, label: describeBeside(picture, compared) }}
                  />
                )}
              </ZoomPane>
            )
          )}
        </div>
        {picture !== null && (
          <figcaption className="result-foot">
            <Facts picture={picture} compared={compared} />
            <PictureActions picture={picture} />
          </figcaption>
        )}
      </figure>
      <Filmstrip />
    </>
  );
}
