import { Slider } from 'radix-ui';
import { useState } from 'react';

interface WeightSliderProps {
  readonly label: string;
  readonly value: number;
  readonly min?: number;
  readonly max?: number;
  readonly testId?: string;
  readonly disabled?: boolean;
  readonly onChange: (value: number) => void;
}

/** A slider with its number, which can be typed too: beyond the slider's ends if need be. */
export function WeightSlider({
  label,
  value,
  min = 0,
  max = 2,
  testId,
  disabled = false,
  onChange,
}: WeightSliderProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const commit = (): void => {
    const typed = Number(draft);
    if (draft !== null && draft.trim() !== '' && Number.isFinite(typed)) onChange(Math.min(10, Math.max(-10, typed)));
    setDraft(null);
  };
  return (
    <div className="weight">
      <Slider.Root
        className="slider weight-slider"
        min={min}
        max={max}
        step={0.05}
        disabled={disabled}
        value={[Math.min(max, Math.max(min, value))]}
        onValueChange={([next]) => next !== undefined && onChange(next)}
      >
        <Slider.Track className="slider-track">
          <Slider.Range className="slider-range" />
        </Slider.Track>
        {max === 2 && min === 0 && <span className="slider-notch" aria-hidden="true" />}
        <Slider.Thumb className="slider-thumb" aria-label={label} data-testid={testId} />
      </Slider.Root>
      <input
        className="input weight-number"
        aria-label={`${label}, as a number`}
        inputMode="decimal"
        disabled={disabled}
        value={draft ?? value.toFixed(2)}
        onFocus={(event) => event.target.select()}
        onChange={(event) => setDraft(event.target.value)}
        onBlur={commit}
        onKeyDown={(event) => {
          if (event.key === 'Enter') commit();
          if (event.key === 'Escape') setDraft(null);
        }}
      />
    </div>
  );
}
