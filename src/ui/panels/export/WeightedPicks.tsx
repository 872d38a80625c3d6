import { useMemo } from 'react';
import { type ToolLora, toolLoras } from '../../../store/loraTools.ts';
import type { WeightedLoraInput } from '../../../worker/protocol.ts';
import { WeightSlider } from '../../components/WeightSlider.tsx';
import { useStudio } from '../../StudioContext.tsx';

/** Weights by key; what is not in it is not picked. */
export type Weights = Readonly<Record<string, number>>;

/** Everything that is here, to be worked on. */
export function useToolLoras(): readonly ToolLora[] {
  const runs = useStudio((state) => state.runs);
  const library = useStudio((state) => state.library);
  const droppedLoras = useStudio((state) => state.droppedLoras);
  return useMemo(() => toolLoras({ runs, library, droppedLoras }), [runs, library, droppedLoras]);
}

export function weightedInputs(loras: readonly ToolLora[], weights: Weights): WeightedLoraInput[] {
  return loras.flatMap(({ key, input }) => {
    const weight = weights[key];
    return weight === undefined ? [] : [{ input, weight, textEncoderWeight: weight }];
  });
}

interface WeightedPicksProps {
  readonly loras: readonly ToolLora[];
  readonly weights: Weights;
  readonly onChange: (weights: Weights) => void;
}

/** Several of all LoRAs, each with a weight. */
export function WeightedPicks({ loras, weights, onChange }: WeightedPicksProps) {
  return (
    <ul className="picks weighted">
      {loras.map(({ key, name, kind }) => {
        const weight = weights[key];
        return (
          <li key={key} className="pick">
            <label className="check pick-name">
              <input
                type="checkbox"
                aria-label={`Take ${name}`}
                checked={weight !== undefined}
                onChange={(event) => {
                  const { [key]: _, ...rest } = weights;
                  onChange(event.target.checked ? { ...rest, [key]: 1 } : rest);
                }}
              />
              <span className="lora-title">
                <strong>{name}</strong>
                <span>{kind === 'run' ? 'your run' : kind === 'file' ? 'in the library' : 'dropped in'}</span>
              </span>
            </label>
            <WeightSlider
              label={`Weight of ${name}`}
              value={weight ?? 1}
              disabled={weight === undefined}
              onChange={(next) => onChange({ ...weights, [key]: next })}
            />
          </li>
        );
      })}
    </ul>
  );
}
