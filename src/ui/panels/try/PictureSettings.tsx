import { ArrowLeftRight, Dices, Lock, LockOpen, RotateCcw } from 'lucide-react';
import { canUseKarras, schedulerLabels, sizePresets } from '../../../store/generateForm.ts';
import { randomSeed } from '../../../store/generate.ts';
import { sizesInUse } from '../../../store/modelDefaults.ts';
import { useShallow } from 'zustand/react/shallow';
import type { SchedulerName } from '../../../worker/protocol.ts';
import { Field } from '../../components/Field.tsx';
import { Hint } from '../../components/Info.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { NumberField } from './fields.tsx';

/** A rectangle of the size's proportions. */
function Proportion({ width, height }: { readonly width: number; readonly height: number }) {
  const scale = 13 / Math.max(width, height);
  const [w, h] = [width * scale, height * scale];
  return (
    <svg width={16} height={16} viewBox="0 0 16 16" aria-hidden="true">
      <rect
        x={8 - w / 2}
        y={8 - h / 2}
        width={w}
        height={h}
        rx={1.5}
        fill="none"
        stroke="currentColor"
        strokeWidth={1.5}
      />
    </svg>
  );
}

function Size() {
  const presets = useStudio(
    useShallow((state) => sizePresets(sizesInUse(state)).map((preset) => JSON.stringify(preset))),
  );
  const { width, height } = useStudio(
    useShallow((state) => ({ width: state.generateForm.width, height: state.generateForm.height })),
  );
  const size = useStudio((state) => sizesInUse(state).imageSize);
  const changed = useStudio((state) => state.generateFormChanged);
  const isFar =
    Math.max(Number(width), Number(height)) > 1.8 * size || Math.min(Number(width), Number(height)) < size / 2;
  return (
    <div className="stack-tight">
      <fieldset className="size-presets" aria-label="Proportions">
        {presets
          .map((text) => JSON.parse(text) as ReturnType<typeof sizePresets>[number])
          .map((preset) => (
            <Hint key={preset.label} text={`${preset.width} × ${preset.height}`}>
              <button
                type="button"
                className="size-preset"
                aria-pressed={Number(width) === preset.width && Number(height) === preset.height}
                aria-label={`${preset.label}: ${preset.width} by ${preset.height}`}
                onClick={() => changed({ width: String(preset.width), height: String(preset.height) })}
              >
                <Proportion {...preset} />
                {preset.label}
              </button>
            </Hint>
          ))}
      </fieldset>
      <div className="size-fields">
        <NumberField field="width" suffix="px" />
        <Hint text="Swap width and height">
          <button
            type="button"
            className="icon-button"
            aria-label="Swap width and height"
            onClick={() => changed({ width: height, height: width })}
          >
            <ArrowLeftRight size={15} aria-hidden="true" />
          </button>
        </Hint>
        <NumberField field="height" suffix="px" />
      </div>
      {isFar && (
        <p className="field-hint">This model was trained on {size} px: far from it, pictures repeat themselves.</p>
      )}
    </div>
  );
}

function Seed() {
  const isFixed = useStudio((state) => state.generateForm.seedRule === 'fixed');
  const shownSeed = useStudio((state) => state.pictures.find(({ id }) => id === state.shownPictureId)?.request.seed);
  const seed = useStudio((state) => state.generateForm.seed);
  const edited = useStudio((state) => state.generateFieldEdited);
  return (
    <div className="seed-row">
      <NumberField field="seed" term="seed" />
      <Hint text="Roll a new seed">
        <button
          type="button"
          className="icon-button"
          aria-label="Random seed"
          onClick={() => edited('seed', String(randomSeed()))}
        >
          <Dices size={16} aria-hidden="true" />
        </button>
      </Hint>
      <Hint text="Take the seed of the picture that is shown">
        <button
          type="button"
          className="icon-button"
          aria-label="Reuse the seed of the picture"
          disabled={shownSeed === undefined || String(shownSeed) === seed}
          onClick={() => shownSeed !== undefined && edited('seed', String(shownSeed))}
        >
          <RotateCcw size={15} aria-hidden="true" />
        </button>
      </Hint>
      <Hint text={isFixed ? 'Locked: every press draws with this seed' : 'Unlocked: every press rolls a new seed'}>
        <button
          type="button"
          className="icon-button seed-lock"
          aria-label="Keep the seed"
          aria-pressed={isFixed}
          onClick={() => edited('seedRule', isFixed ? 'random' : 'fixed')}
        >
          {isFixed ? <Lock size={15} aria-hidden="true" /> : <LockOpen size={15} aria-hidden="true" />}
        </button>
      </Hint>
    </div>
  );
}

const karrasSuffix = ' karras';

/** Scheduler and its noise levels in one list, as their users name them: `DPM++ 2M Karras`. */
function Scheduler() {
  const scheduler = useStudio((state) => state.generateForm.scheduler);
  const karras = useStudio((state) => state.generateForm.karras === 'on' && canUseKarras(state.generateForm.scheduler));
  const changed = useStudio((state) => state.generateFormChanged);
  return (
    <Field label="Scheduler" term="scheduler">
      {(control) => (
        <select
          {...control}
          className="select"
          value={scheduler + (karras ? karrasSuffix : '')}
          onChange={({ target }) => {
            const isKarras = target.value.endsWith(karrasSuffix);
            const name = (isKarras ? target.value.slice(0, -karrasSuffix.length) : target.value) as SchedulerName;
            changed({ scheduler: name, karras: isKarras ? 'on' : '' });
          }}
        >
          {(Object.entries(schedulerLabels) as [SchedulerName, string][]).flatMap(([name, label]) => [
            <option key={name} value={name}>
              {label}
            </option>,
            ...(canUseKarras(name)
              ? [
                  <option key={`${name} karras`} value={name + karrasSuffix}>
                    {label} Karras
                  </option>,
                ]
              : []),
          ])}
        </select>
      )}
    </Field>
  );
}

/** What every picture needs: size, steps, guidance, seed, scheduler. */
export function PictureSettings() {
  return (
    <section className="group" aria-label="Picture">
      <Size />
      <div className="pair">
        <NumberField field="steps" term="sampleSteps" />
        <NumberField field="guidanceScale" term="guidanceScale" />
      </div>
      <Scheduler />
      <Seed />
    </section>
  );
}
