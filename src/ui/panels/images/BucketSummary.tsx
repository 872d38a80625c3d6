import { useMemo } from 'react';
import { bucketName, countBuckets, type Size } from '../../../core/buckets.ts';
import { plural } from '../../../store/format.ts';
import { Info } from '../../components/Info.tsx';
import { useSizeOptions } from '../../hooks/useSizeOptions.ts';
import { useStudio } from '../../StudioContext.tsx';

/** A bucket's shape, drawn small. */
function Shape({ size: { width, height } }: { readonly size: Size }) {
  const scale = 18 / Math.max(width, height);
  const [w, h] = [width * scale, height * scale];
  return (
    <svg width={20} height={20} viewBox="0 0 20 20" aria-hidden="true" className="bucket-shape">
      <rect x={10 - w / 2} y={10 - h / 2} width={w} height={h} rx={2} />
    </svg>
  );
}

/** How many images are trained at which size. */
export function BucketSummary() {
  const images = useStudio((state) => state.images);
  const sizes = useSizeOptions();
  const counts = useMemo(() => countBuckets(images, sizes), [images, sizes]);
  const edited = useStudio((state) => state.trainFieldEdited);
  const isTraining = useStudio((state) => state.isTraining);
  const most = Math.max(...counts.map(({ count }) => count));
  return (
    <section className="group" aria-labelledby="buckets-title">
      <h2 id="buckets-title">
        Trained at <Info term="buckets" label="a bucket" />
        <span className="group-note">{sizes.buckets.enabled ? plural(counts.length, 'bucket') : 'squares'}</span>
      </h2>
      <label className="check-row">
        <input
          type="checkbox"
          checked={sizes.buckets.enabled}
          disabled={isTraining}
          onChange={(event) => edited('buckets.enabled', String(event.target.checked))}
        />
        Keep each image’s shape (buckets)
      </label>
      <ul className="buckets" aria-label="Sizes">
        {counts.map(({ bucket, count }) => (
          <li key={bucketName(bucket)}>
            <Shape size={bucket} />
            <span className="bucket-size">
              {bucket.width} × {bucket.height}
            </span>
            <span className="bucket-bar" aria-hidden="true">
              <span style={{ width: `${(count / most) * 100}%` }} />
            </span>
            <span className="bucket-count">{plural(count, 'image')}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
