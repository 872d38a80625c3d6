import { Dices, Download, RotateCcw, Wand, X } from 'lucide-react';
import { Slider } from 'radix-ui';
import { useId } from 'react';
import { useShallow } from 'zustand/react/shallow';
import { formatDuration, formatEta } from '../../store/format.ts';
import type { Picture } from '../../store/generate.ts';
import { generateFormErrors, type GenerateNumberField, generateRules } from '../../store/generateForm.ts';
import { sizesInUse } from '../../store/modelDefaults.ts';
import { saveBlob } from '../../store/saveBlob.ts';
import { BlobImage } from '../components/BlobImage.tsx';
import { ErrorNote } from '../components/ErrorNote.tsx';
import { Field, TextField } from '../components/Field.tsx';
import { Hint, Info } from '../components/Info.tsx';
import { LogoMark } from '../components/Logo.tsx';
import { ProgressBar } from '../components/ProgressBar.tsx';
import { TokenCounter } from '../components/TokenCounter.tsx';
import type { Term } from '../glossary.ts';
import { useElapsed } from '../hooks/useElapsed.ts';
import { useStudio } from '../StudioContext.tsx';

function NumberField({
  field,
  term,
  suffix,
}: {
  readonly field: GenerateNumberField;
  readonly term?: Term;
  readonly suffix?: string;
}) {
  const value = useStudio((state) => state.generateForm[field]);
  const error = useStudio((state) => generateFormErrors(state.generateForm, sizesInUse(state))[field]);
  const label = useStudio((state) => generateRules(sizesInUse(state))[field].label);
  const edited = useStudio((state) => state.generateFieldEdited);
  return (
    <TextField
      label={label}
      value={value}
      error={error}
      inputMode="decimal"
      onChange={(text) => edited(field, text)}
      {...(term === undefined ? {} : { term })}
      {...(suffix === undefined ? {} : { suffix })}
    />
  );
}

function Prompts() {
  const prompt = useStudio((state) => state.generateForm.prompt);
  const negativePrompt = useStudio((state) => state.generateForm.negativePrompt);
  const trigger = useStudio(
    (state) => state.runs.find(({ id }) => id === state.generateLora?.runId)?.triggerWord ?? '',
  );
  const edited = useStudio((state) => state.generateFieldEdited);
  const generatePressed = useStudio((state) => state.generatePressed);
  const lacksTrigger = trigger !== '' && !prompt.toLowerCase().includes(trigger.toLowerCase());
  return (
    <>
      <Field
        label="Prompt"
        hint={
          lacksTrigger ? (
            <button
              type="button"
              className="link"
              onClick={() => edited('prompt', prompt === '' ? trigger : `${trigger}, ${prompt}`)}
            >
              Add the trigger word “{trigger}”
            </button>
          ) : undefined
        }
      >
        {(control) => (
          <>
            <textarea
              {...control}
              className="input"
              rows={3}
              value={prompt}
              placeholder={trigger === '' ? 'a lighthouse at dusk, oil painting' : `${trigger}, a lighthouse at dusk`}
              onChange={(event) => edited('prompt', event.target.value)}
              onKeyDown={(event) => {
                if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) generatePressed();
              }}
            />
            <TokenCounter prompt={prompt} label="prompt" />
          </>
        )}
      </Field>
      <Field label="Negative prompt" term="negativePrompt">
        {(control) => (
          <>
            <textarea
              {...control}
              className="input"
              rows={2}
              value={negativePrompt}
              placeholder="blurry, text"
              onChange={(event) => edited('negativePrompt', event.target.value)}
            />
            <TokenCounter prompt={negativePrompt} label="negative prompt" />
          </>
        )}
      </Field>
    </>
  );
}

function LoraControls() {
  const runs = useStudio(
    useShallow((state) => state.runs.filter((run) => run.modelId === state.selectedModelId && run.globalStep > 0)),
  );
  const lora = useStudio((state) => state.generateLora);
  const generateLoraChosen = useStudio((state) => state.generateLoraChosen);
  const loraWeightMoved = useStudio((state) => state.loraWeightMoved);
  const labelId = useId();
  return (
    <div className="lora-box">
      <Field label="LoRA" term="lora" hint={runs.length === 0 ? 'Train one, and it can be chosen here.' : undefined}>
        {(control) => (
          <select
            {...control}
            className="select"
            value={lora?.runId ?? ''}
            onChange={(event) => generateLoraChosen(event.target.value || null)}
          >
            <option value="">None: the plain model</option>
            {runs.map((run) => (
              <option key={run.id} value={run.id}>
                {run.name} · {run.globalStep} steps
              </option>
            ))}
          </select>
        )}
      </Field>
      {lora !== null && (
        <div className="field">
          <div className="field-head">
            <span className="label" id={labelId}>
              LoRA weight
            </span>
            <Info term="loraWeight" label="LoRA weight" />
            <output className="field-aside lora-weight">{lora.weight.toFixed(2)}</output>
          </div>
          <Slider.Root
            className="slider"
            min={0}
            max={2}
            step={0.05}
            value={[lora.weight]}
            onValueChange={([weight]) => weight !== undefined && loraWeightMoved(weight)}
          >
            <Slider.Track className="slider-track">
              <Slider.Range className="slider-range" />
            </Slider.Track>
            <span className="slider-notch" aria-hidden="true" />
            <Slider.Thumb className="slider-thumb" aria-label="LoRA weight" data-testid="lora-slider" />
          </Slider.Root>
          <div className="slider-scale" aria-hidden="true">
            <span>0 plain</span>
            <span>1 as trained</span>
            <span>2</span>
          </div>
        </div>
      )}
    </div>
  );
}

/** Width and height; away from the size that the model was trained at, the way back. */
function SizeFields() {
  const size = useStudio((state) => sizesInUse(state).imageSize);
  const away = useStudio(
    (state) => Number(state.generateForm.width) !== size || Number(state.generateForm.height) !== size,
  );
  const edited = useStudio((state) => state.generateFieldEdited);
  return (
    <div className="stack-tight">
      <div className="pair">
        <NumberField field="width" suffix="px" />
        <NumberField field="height" suffix="px" />
      </div>
      {away && (
        <p className="field-hint">
          This model was trained on {size} px.{' '}
          <button
            type="button"
            className="link"
            onClick={() => {
              edited('width', String(size));
              edited('height', String(size));
            }}
          >
            Use {size} × {size}
          </button>
        </p>
      )}
    </div>
  );
}

function Settings() {
  const scheduler = useStudio((state) => state.generateForm.scheduler);
  const edited = useStudio((state) => state.generateFieldEdited);
  return (
    <>
      <div className="pair">
        <NumberField field="steps" term="sampleSteps" />
        <NumberField field="guidanceScale" term="guidanceScale" />
      </div>
      <SizeFields />
      <div className="pair">
        <div className="seed">
          <NumberField field="seed" term="seed" />
          <Hint text="Roll a new seed">
            <button
              type="button"
              className="icon-button seed-dice"
              aria-label="Random seed"
              onClick={() => edited('seed', String(Math.floor(Math.random() * 4_294_967_296)))}
            >
              <Dices size={15} aria-hidden="true" />
            </button>
          </Hint>
        </div>
        <Field label="Scheduler" term="scheduler">
          {(control) => (
            <select
              {...control}
              className="select"
              value={scheduler}
              onChange={(event) => edited('scheduler', event.target.value === 'euler' ? 'euler' : 'ddim')}
            >
              <option value="ddim">DDIM</option>
              <option value="euler">Euler</option>
            </select>
          )}
        </Field>
      </div>
    </>
  );
}

function GenerateFoot() {
  const generating = useStudio((state) => state.generating);
  const hasModel = useStudio((state) => state.selectedModelId !== null);
  const valid = useStudio(
    (state) => Object.keys(generateFormErrors(state.generateForm, sizesInUse(state))).length === 0,
  );
  const isTraining = useStudio((state) => state.isTraining);
  const generatePressed = useStudio((state) => state.generatePressed);
  const generateCancelled = useStudio((state) => state.generateCancelled);
  const elapsed = useElapsed(generating?.startedAt ?? null);
  const progress = generating?.progress ?? null;
  if (generating !== null) {
    return (
      <div className="inspector-foot">
        <div className="foot-progress">
          <span>{progress === null ? 'Getting ready…' : `Step ${progress.step} of ${progress.numInferenceSteps}`}</span>
          <span>
            {progress === null ? (elapsed < 1 ? '' : formatDuration(elapsed)) : formatEta(progress.etaSeconds)}
          </span>
        </div>
        <ProgressBar label="Drawing" value={progress === null ? null : progress.step / progress.numInferenceSteps} />
        <button
          type="button"
          className="button button-large button-wide"
          disabled={generating.cancelling}
          onClick={generateCancelled}
        >
          <X size={15} aria-hidden="true" /> {generating.cancelling ? 'Cancelling…' : 'Cancel'}
        </button>
      </div>
    );
  }
  return (
    <div className="inspector-foot">
      {!hasModel && <p className="foot-fact warn-text">Choose a model first.</p>}
      {hasModel && isTraining && (
        <p className="foot-fact">
          The GPU is busy training. Pictures can be drawn once the run is finished or stopped.
        </p>
      )}
      <button
        type="button"
        className="button button-primary button-large button-wide"
        disabled={!hasModel || !valid || isTraining}
        onClick={generatePressed}
      >
        <Wand size={15} aria-hidden="true" /> Generate
      </button>
    </div>
  );
}

function describeLora(picture: Picture): string {
  const lora = picture.request.loras[0];
  return lora === undefined ? 'plain model' : `${picture.loraName ?? 'LoRA'} at ${lora.weight.toFixed(2)}`;
}

function fileNameOf(picture: Picture): string {
  const words = picture.request.prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ['picture'];
  return `${words.slice(0, 6).join('-')}-${picture.request.seed}.png`;
}

function ResultView() {
  const picture = useStudio((state) => state.pictures.find(({ id }) => id === state.shownPictureId) ?? null);
  const busy = useStudio((state) => state.generating !== null);
  const reuse = useStudio((state) => state.pictureSettingsReused);
  if (picture === null) {
    return (
      <div className="try-empty">
        <LogoMark size={56} />
        <h1>{busy ? 'Drawing…' : 'Your first picture appears here'}</h1>
        <p hidden={busy}>
          Write a prompt, choose a LoRA, press Generate. Then move the slider: the same seed is drawn again with more or
          less of it.
        </p>
      </div>
    );
  }
  const { request } = picture;
  return (
    <figure className="result" aria-busy={busy}>
      <div className="result-frame">
        <BlobImage blob={picture.png} alt={`Generated picture: ${request.prompt}`} className="result-picture" />
      </div>
      <figcaption className="result-foot">
        <div className="result-text">
          <p title={request.prompt}>{request.prompt === '' ? 'no prompt' : request.prompt}</p>
          <p className="result-facts">
            {describeLora(picture)} · seed {request.seed} · {request.numInferenceSteps} steps · {picture.width} ×{' '}
            {picture.height} · {formatDuration(picture.milliseconds / 1000)}
          </p>
        </div>
        <button type="button" className="button" onClick={() => reuse(picture.id)}>
          <RotateCcw size={14} aria-hidden="true" /> Reuse settings
        </button>
        <button type="button" className="button" onClick={() => saveBlob(picture.png, fileNameOf(picture))}>
          <Download size={14} aria-hidden="true" /> Save PNG
        </button>
      </figcaption>
    </figure>
  );
}

function Filmstrip() {
  const pictures = useStudio((state) => state.pictures);
  const shownId = useStudio((state) => state.shownPictureId);
  const pictureShown = useStudio((state) => state.pictureShown);
  if (pictures.length === 0) return null;
  return (
    <ul className="filmstrip" aria-label="Pictures of this visit">
      {pictures.toReversed().map((picture) => (
        <li key={picture.id}>
          <button
            type="button"
            className="film"
            aria-pressed={picture.id === shownId}
            aria-label={`Show picture ${picture.id}: ${describeLora(picture)}, seed ${picture.request.seed}`}
            onClick={() => pictureShown(picture.id)}
          >
            <BlobImage blob={picture.png} alt="" className="film-picture" />
            {picture.request.loras[0] !== undefined && (
              <span className="film-weight">{picture.request.loras[0].weight.toFixed(2)}</span>
            )}
          </button>
        </li>
      ))}
    </ul>
  );
}

export function TryRoom() {
  const error = useStudio((state) => state.generateError);
  return (
    <div className="workspace">
      <aside className="inspector" aria-label="Picture settings">
        <div className="inspector-scroll">
          <section className="group">
            <Prompts />
          </section>
          <section className="group">
            <LoraControls />
          </section>
          <section className="group">
            <Settings />
          </section>
        </div>
        <GenerateFoot />
      </aside>
      <main className="stage stage-try" aria-label="Picture">
        {error !== null && <ErrorNote error={error} />}
        <ResultView />
        <Filmstrip />
      </main>
    </div>
  );
}
