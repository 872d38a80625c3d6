import { ChevronRight, Play, Plus, RotateCcw, X } from 'lucide-react';
import { useMemo, useState } from 'react';
import { useShallow } from 'zustand/react/shallow';
import { demoModel } from '../../core/demoModel.ts';
import { type PresetKind, presetNameFor } from '../../core/presets.ts';
import { shortModelName } from '../../store/format.ts';
import { presetInForm, sizesInUse } from '../../store/modelDefaults.ts';
import { presetTexts, readTrainForm, resolutionRule, type TrainField, trainRules } from '../../store/trainForm.ts';
import { runNameOf, samplePromptsOf, trainObstacles } from '../../store/training.ts';
import type { SamplePrompt } from '../../worker/protocol.ts';
import { TextField } from '../components/Field.tsx';
import { Info } from '../components/Info.tsx';
import type { Term } from '../glossary.ts';
import { useStudio, useStudioStore } from '../StudioContext.tsx';

interface NumberFieldProps {
  readonly field: TrainField;
  readonly term: Term;
  readonly suffix?: string;
  readonly hint?: string;
  /** There is no choice. */
  readonly fixed?: boolean;
}

function NumberField({ field, term, suffix, hint, fixed = false }: NumberFieldProps) {
  const value = useStudio((state) => state.trainForm[field]);
  const error = useStudio((state) => readTrainForm(state.trainForm, [], sizesInUse(state).imageSize).errors[field]);
  const isTraining = useStudio((state) => state.isTraining);
  const edited = useStudio((state) => state.trainFieldEdited);
  return (
    <TextField
      label={trainRules[field].label}
      term={term}
      value={value}
      error={error}
      disabled={isTraining || fixed}
      inputMode="decimal"
      onChange={(text) => edited(field, text)}
      {...(suffix === undefined ? {} : { suffix })}
      {...(hint === undefined ? {} : { hint })}
    />
  );
}

/** Trained at: open where the model can do several sizes, fixed and explained where it can do one. */
function ResolutionField() {
  const size = useStudio((state) => sizesInUse(state).imageSize);
  const { min, max } = resolutionRule(size);
  const isThatSize = useStudio((state) => Number(state.trainForm.resolution) === min);
  const fixed = min === max && isThatSize;
  return (
    <NumberField
      field="resolution"
      term="resolution"
      suffix="px"
      fixed={fixed}
      {...(fixed ? { hint: `This model knows ${size} px only.` } : {})}
    />
  );
}

const presetWords: Readonly<Record<PresetKind, { readonly label: string; readonly hint: string }>> = {
  style: { label: 'Style', hint: 'A look: brushwork, palette, mood.' },
  character: { label: 'Character', hint: 'One person, pet or object. Shorter.' },
};

/** Two recipes to start from, and in words which one stands in the form. */
function Presets() {
  const modelId = useStudio((state) => state.selectedModelId);
  const active = useStudio((state) => presetInForm(state.trainForm, state.selectedModelId));
  const presetChosen = useStudio((state) => state.presetChosen);
  const disabled = useStudio((state) => state.isTraining);
  const { rank, learningRate, trainBatchSize } = useStudio((state) => state.trainForm);
  const forDemo = modelId === demoModel.id ? ' for the demo model' : '';
  return (
    <div className="stack-tight">
      <fieldset className="presets" aria-label="Preset">
        {(Object.keys(presetWords) as PresetKind[]).map((kind) => (
          <button
            key={kind}
            type="button"
            className="preset"
            aria-pressed={active === kind}
            disabled={disabled}
            onClick={() => presetChosen(kind)}
          >
            <strong>{presetWords[kind].label}</strong>
            <span>
              {presetWords[kind].hint} {presetTexts(presetNameFor(modelId, kind)).maxTrainSteps} steps.
            </span>
          </button>
        ))}
      </fieldset>
      <p className="field-hint" data-testid="preset-in-use">
        {active === null ? 'Your own settings' : `Preset ${presetWords[active].label}${forDemo}`}: rank {rank}, learning
        rate {learningRate}, batch {trainBatchSize}.
      </p>
    </div>
  );
}

function SamplePrompts() {
  const prompts = useStudio(
    useShallow((state) => samplePromptsOf(state).flatMap(({ prompt, seed }) => [prompt, seed])),
  );
  const isEdited = useStudio((state) => state.editedPrompts !== null);
  const disabled = useStudio((state) => state.isTraining);
  const edited = useStudio((state) => state.samplePromptsEdited);
  // The flat list keeps the selector's result comparable; here it becomes pairs again.
  const list = useMemo(() => {
    const pairs: SamplePrompt[] = [];
    for (let i = 0; i < prompts.length; i += 2)
      pairs.push({ prompt: String(prompts[i]), seed: Number(prompts[i + 1]) });
    return pairs;
  }, [prompts]);
  const change = (index: number, part: Partial<SamplePrompt>): void =>
    edited(list.map((entry, at) => (at === index ? { ...entry, ...part } : entry)));
  return (
    <div className="stack-tight">
      <ul className="prompt-list">
        {list.map(({ prompt, seed }, index) => (
          <li key={index}>
            <input
              className="input"
              aria-label={`Sample prompt ${index + 1}`}
              value={prompt}
              disabled={disabled}
              onChange={(event) => change(index, { prompt: event.target.value })}
            />
            <input
              className="input input-seed"
              aria-label={`Seed of sample prompt ${index + 1}`}
              inputMode="numeric"
              value={seed}
              disabled={disabled}
              onChange={(event) => {
                const value = Number(event.target.value);
                if (Number.isInteger(value) && value >= 0 && value <= 4_294_967_295) change(index, { seed: value });
              }}
            />
            <button
              type="button"
              className="icon-button"
              aria-label={`Remove sample prompt ${index + 1}`}
              disabled={disabled}
              onClick={() => edited(list.filter((_, at) => at !== index))}
            >
              <X size={14} aria-hidden="true" />
            </button>
          </li>
        ))}
      </ul>
      <div className="row">
        <button
          type="button"
          className="button button-small"
          disabled={disabled || list.length >= 8}
          onClick={() => edited([...list, { prompt: '', seed: (list.at(-1)?.seed ?? 41) + 1 }])}
        >
          <Plus size={13} aria-hidden="true" /> Add prompt
        </button>
        {isEdited && (
          <button
            type="button"
            className="button button-small button-quiet"
            disabled={disabled}
            onClick={() => edited(null)}
          >
            <RotateCcw size={13} aria-hidden="true" /> Suggest again
          </button>
        )}
      </div>
    </div>
  );
}

function StartFoot() {
  const isTraining = useStudio((state) => state.isTraining);
  const obstacles = useStudio(useShallow(trainObstacles));
  const modelId = useStudio((state) => state.selectedModelId);
  const imageCount = useStudio((state) => state.images.length);
  const steps = useStudio((state) => state.trainForm.maxTrainSteps);
  const trainPressed = useStudio((state) => state.trainPressed);
  return (
    <div className="inspector-foot">
      <p className="foot-fact" id="start-note" aria-live="polite">
        {isTraining && 'Settings are fixed while a run goes on.'}
        {!isTraining && obstacles.length > 0 && <span className="warn-text">{obstacles.join(' ')}</span>}
        {!isTraining && obstacles.length === 0 && (
          <span>
            {imageCount} {imageCount === 1 ? 'image' : 'images'}, {steps} steps on{' '}
            <strong>{shortModelName(modelId ?? '')}</strong>
          </span>
        )}
      </p>
      <button
        type="button"
        className="button button-primary button-large button-wide"
        disabled={isTraining || obstacles.length > 0}
        aria-describedby="start-note"
        onClick={() => void trainPressed()}
      >
        <Play size={14} fill="currentColor" aria-hidden="true" /> Start training
      </button>
    </div>
  );
}

/** The settings of the next run (or, fixed, of the one that goes on). */
export function TrainSettings() {
  const store = useStudioStore();
  const name = useStudio(runNameOf);
  const runNameEdited = useStudio((state) => state.runNameEdited);
  const isTraining = useStudio((state) => state.isTraining);
  const [advanced, setAdvanced] = useState(() => {
    const { trainForm, selectedModelId, modelsLoaded } = store.getState();
    return modelsLoaded && presetInForm(trainForm, selectedModelId) === null;
  });
  return (
    <aside className="inspector" aria-label="Training settings">
      <div className="inspector-scroll">
        <section className="group">
          <h2>What to learn</h2>
          <Presets />
          <TextField label="Name" value={name} disabled={isTraining} onChange={runNameEdited} />
          <div className="pair">
            <NumberField field="maxTrainSteps" term="steps" />
            <ResolutionField />
          </div>
        </section>
        <section className="group">
          <h2>
            Watch it learn <Info term="sampleEvery" label="a sample" />
          </h2>
          <SamplePrompts />
          <NumberField field="sampleEvery" term="sampleEvery" suffix="steps" />
        </section>
        <section className="group">
          <button type="button" className="disclosure" aria-expanded={advanced} onClick={() => setAdvanced(!advanced)}>
            <ChevronRight size={14} aria-hidden="true" /> Advanced settings
          </button>
          {advanced && (
            <>
              <div className="pair">
                <NumberField field="rank" term="rank" />
                <NumberField field="alpha" term="alpha" />
              </div>
              <div className="pair">
                <NumberField field="learningRate" term="learningRate" />
                <NumberField field="trainBatchSize" term="batchSize" />
              </div>
              <div className="pair">
                <NumberField field="seed" term="seed" />
                <NumberField field="flipPercent" term="flip" suffix="%" />
              </div>
              <div className="pair">
                <NumberField field="sampleInferenceSteps" term="sampleSteps" />
                <NumberField field="sampleGuidanceScale" term="guidanceScale" />
              </div>
            </>
          )}
        </section>
      </div>
      <StartFoot />
    </aside>
  );
}
