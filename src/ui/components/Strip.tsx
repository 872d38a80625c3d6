import { FlipHorizontal2 } from 'lucide-react';
import type { StripEntry } from '../../worker/protocol.ts';
import { useStudioStore } from '../StudioContext.tsx';
import { Info } from './Info.tsx';
import { RgbCanvas } from './RgbCanvas.tsx';

/** What this step looked at: each image of the batch clean, under noise, and as the model guesses it. */
export function Strip({ entries, step }: { readonly entries: readonly StripEntry[]; readonly step: number }) {
  const store = useStudioStore();
  const nameOf = (id: string): string => store.getState().images.find((image) => image.id === id)?.fileName ?? 'image';
  return (
    <section className="card strip-card" aria-label="This step" data-testid="strip" data-step={step}>
      <div className="card-head">
        <h3>This step</h3>
        <Info term="strip" label="this strip" />
        <span className="card-note">step {step}</span>
      </div>
      <div className="strip-scroll">
        <div className="strip-grid">
          <span className="strip-title">Image</span>
          <span className="strip-title">Under noise</span>
          <span className="strip-title">Model’s guess</span>
          {entries.map((entry, index) => {
            const name = nameOf(entry.imageId);
            return (
              <div className="strip-row" key={index}>
                <figure className="strip-cell">
                  <RgbCanvas image={entry.clean} label={`${name}, clean`} />
                  <figcaption title={entry.flipped ? `${name}, mirrored` : name}>
                    {entry.flipped && <FlipHorizontal2 size={11} aria-label="mirrored" className="strip-flip" />}
                    {name}
                  </figcaption>
                </figure>
                <figure className="strip-cell">
                  <RgbCanvas image={entry.noisy} label={`${name} under noise, timestep ${entry.timestep}`} />
                  <figcaption>timestep {entry.timestep}</figcaption>
                </figure>
                <figure className="strip-cell">
                  <RgbCanvas image={entry.predicted} label={`${name} as the model guesses it`} />
                  <figcaption>at step {step}</figcaption>
                </figure>
              </div>
            );
          })}
        </div>
      </div>
    </section>
  );
}
