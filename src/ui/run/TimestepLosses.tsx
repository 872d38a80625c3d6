import { formatLoss } from '../../store/format.ts';
import type { BucketLoss } from '../../store/runRecords.ts';
import { Info } from '../components/Info.tsx';

const about =
  'The mean loss by how much noise was added, from little (left) to nothing but noise (right). Details are learned on the left, composition on the right.';

/** Mean loss by noise level. */
export function TimestepLosses({ buckets }: { readonly buckets: readonly BucketLoss[] }) {
  const highest = Math.max(...buckets.map(({ mean }) => (Number.isFinite(mean) ? mean : 0)), 1e-9);
  return (
    <section className="card" aria-label="Loss by noise level">
      <div className="card-head">
        <h3>Loss by noise level</h3>
        <Info text={about} label="loss by noise level" />
      </div>
      <ol className="timestep-bars">
        {buckets.map(({ from, to, count, mean }) => (
          <li
            key={from}
            title={`Timesteps ${from} to ${to - 1}: ${count === 0 ? 'none drawn' : `${formatLoss(mean)}, ${count} times`}`}
          >
            <span className="timestep-bar" aria-hidden="true">
              <span style={{ height: `${count === 0 ? 0 : (100 * mean) / highest}%` }} />
            </span>
            <span className="timestep-label">{from}</span>
            <span className="visually-hidden">
              to {to - 1}: {count === 0 ? 'none' : formatLoss(mean)}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
