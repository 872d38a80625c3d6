import { plural } from '../../../store/format.ts';
import type { LoraCombined } from '../../../worker/protocol.ts';
import { Disclosure } from '../../components/Disclosure.tsx';

const percent = (share: number): string => `${(100 * share).toFixed(share < 0.001 ? 3 : 1)} %`;

/** What a lower rank costs: over all, and layer by layer, the worst first. */
export function Errors({ result }: { readonly result: LoraCombined }) {
  const { error, layers } = result;
  const worst = layers.toSorted((a, b) => b.error - a.error);
  return (
    <section className="errors" aria-label="What it costs" data-testid="combine-error">
      <p>
        <strong>{error < 1e-6 ? 'Nothing is lost.' : `${percent(error)} is lost`}</strong>
        {error >= 1e-6 && ' of what the LoRA changes, measured over all layers.'}
      </p>
      <Disclosure title="Layer by layer" aside={plural(layers.length, 'layer')}>
        <div className="raw-tensors">
          <table>
            <tbody>
              {worst.map(({ module, ranks, error: own }) => (
                <tr key={module}>
                  <td>{percent(own)}</td>
                  <td>
                    rank {ranks[0]} → {ranks[1]}
                  </td>
                  <td>{module}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Disclosure>
    </section>
  );
}
