import { Image as ImageIcon } from 'lucide-react';
import { useState } from 'react';
import { formatLoss, plural } from '../../store/format.ts';
import { type ImageLoss, standsOut } from '../../store/runRecords.ts';
import { BlobImage } from '../components/BlobImage.tsx';
import { Info } from '../components/Info.tsx';
import { useStudio } from '../StudioContext.tsx';

const AT_FIRST = 12;

const about =
  'How hard each image was to guess, compared with the others at the same noise levels: 1.0 is usual. An image that stands out is often blurred, cropped badly, captioned wrongly, or simply unlike the rest.';

function Row({ image, hardest }: { readonly image: ImageLoss; readonly hardest: number }) {
  const known = useStudio((state) => state.images.find(({ id }) => id === image.imageId));
  const out = standsOut(image);
  return (
    <li className={out ? 'image-loss image-loss-out' : 'image-loss'}>
      {known === undefined ? (
        <span className="image-loss-thumb image-loss-none">
          <ImageIcon size={16} aria-hidden="true" />
        </span>
      ) : (
        <BlobImage blob={known.thumbnail} alt="" className="image-loss-thumb" />
      )}
      <span className="image-loss-text">
        <strong>{known?.fileName ?? 'An image that is gone'}</strong>
        <span className="image-loss-bar">
          <span style={{ width: `${(100 * image.relative) / hardest}%` }} />
        </span>
      </span>
      <span className="image-loss-number">
        {image.relative.toFixed(2)}
        <small>
          {formatLoss(image.mean)} · {plural(image.count, 'time')}
        </small>
      </span>
    </li>
  );
}

/** The images of a run, the hardest first. */
export function ImageLosses({ images }: { readonly images: readonly ImageLoss[] }) {
  const [all, setAll] = useState(false);
  const outstanding = images.filter(standsOut).length;
  const hardest = Math.max(...images.map(({ relative }) => relative), 1);
  return (
    <section className="card" aria-label="Loss by image">
      <div className="card-head">
        <h3>Loss by image</h3>
        <Info text={about} label="loss by image" />
        <span className="card-note">
          {outstanding === 0 ? 'none stands out' : `${plural(outstanding, 'image')} to look at`}
        </span>
      </div>
      <ul className="image-losses">
        {(all ? images : images.slice(0, AT_FIRST)).map((image) => (
          <Row key={image.imageId} image={image} hardest={hardest} />
        ))}
      </ul>
      {images.length > AT_FIRST && (
        <button type="button" className="link image-losses-more" onClick={() => setAll(!all)}>
          {all ? 'Only the hardest' : `All ${images.length} images`}
        </button>
      )}
    </section>
  );
}
