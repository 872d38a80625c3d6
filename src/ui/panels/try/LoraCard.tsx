import { ChevronDown, TriangleAlert, X } from 'lucide-react';
import { useEffect, useId, useState } from 'react';
import { plural } from '../../../store/format.ts';
import { loraFacts } from '../../../store/loraFacts.ts';
import { isReport } from '../../../store/loraTools.ts';
import { loraName, type ShelfLora, sourceKey } from '../../../store/shelf.ts';
import type { LoraReport, LoraSource } from '../../../worker/protocol.ts';
import { BlobImage } from '../../components/BlobImage.tsx';
import { Hint, Info } from '../../components/Info.tsx';
import { LogoMark } from '../../components/Logo.tsx';
import { Switch } from '../../components/Switch.tsx';
import { WeightSlider } from '../../components/WeightSlider.tsx';
import { useStudio } from '../../StudioContext.tsx';

/** What a LoRA's file says; undefined while that is not known. */
function useReport(source: LoraSource): LoraReport | undefined {
  return useStudio((state) => {
    const report = state.toolReports[sourceKey(source)];
    return report !== undefined && isReport(report) ? report : undefined;
  });
}

/** A picture of what the LoRA does: the run's latest sample, or what its file carries. */
export function LoraThumb({ lora }: { readonly lora: Pick<ShelfLora, 'source'> }) {
  const { source } = lora;
  const sample = useStudio((state) =>
    source.kind === 'run' ? state.samplesByRun[source.runId]?.at(-1)?.images[0]?.png : undefined,
  );
  const thumbnail = useReport(source)?.metadata['modelspec.thumbnail'];
  const runSamplesNeeded = useStudio((state) => state.runSamplesNeeded);
  useEffect(() => {
    if (source.kind === 'run') void runSamplesNeeded(source.runId);
  }, [source, runSamplesNeeded]);
  if (sample !== undefined) return <BlobImage blob={sample} alt="" className="lora-thumb" />;
  if (thumbnail?.startsWith('data:image/')) return <img src={thumbnail} alt="" className="lora-thumb" />;
  return (
    <span className="lora-thumb lora-thumb-none">
      <LogoMark size={18} />
    </span>
  );
}

/** Which step of a run's training it is drawn with: the latest, unless another is chosen of those that were kept. */
function StepChoice({ lora }: { readonly lora: ShelfLora }) {
  const runId = lora.source.kind === 'run' ? lora.source.runId : null;
  const steps = useStudio((state) => (runId === null ? undefined : state.runSteps[runId]));
  const runStepsNeeded = useStudio((state) => state.runStepsNeeded);
  const stepChosen = useStudio((state) => state.loraStepChosen);
  const id = useId();
  useEffect(() => {
    if (runId !== null) void runStepsNeeded(runId);
  }, [runId, runStepsNeeded]);
  if (lora.source.kind !== 'run' || steps === undefined || steps.length < 2) return null;
  return (
    <div className="lora-row">
      <label htmlFor={id}>Step of the training</label>
      <select
        id={id}
        className="select select-small"
        value={lora.source.globalStep ?? ''}
        onChange={(event) => stepChosen(lora.key, event.target.value === '' ? null : Number(event.target.value))}
      >
        <option value="">latest</option>
        {steps.map((step) => (
          <option key={step} value={step}>
            {step}
          </option>
        ))}
      </select>
    </div>
  );
}

function TriggerWords({ words }: { readonly words: readonly string[] }) {
  const prompt = useStudio((state) => state.generateForm.prompt);
  const edited = useStudio((state) => state.generateFieldEdited);
  if (words.length === 0) return null;
  return (
    <ul className="lora-words" aria-label="Words that this LoRA knows">
      {words.map((word) => {
        const used = prompt.toLowerCase().includes(word.toLowerCase());
        return (
          <li key={word}>
            <button
              type="button"
              className="word"
              aria-pressed={used}
              disabled={used}
              onClick={() => edited('prompt', prompt === '' ? word : `${prompt.replace(/[,\s]+$/, '')}, ${word}`)}
            >
              {word}
            </button>
          </li>
        );
      })}
    </ul>
  );
}

function Unmatched({ names }: { readonly names: readonly string[] }) {
  const [open, setOpen] = useState(false);
  return (
    <div className="lora-unmatched">
      <button type="button" className="link warn-text" aria-expanded={open} onClick={() => setOpen(!open)}>
        <TriangleAlert size={13} aria-hidden="true" /> {plural(names.length, 'part does', 'parts do')} not match this
        model
      </button>
      {open && (
        <ul>
          {names.map((name) => (
            <li key={name}>
              <code>{name}</code>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

export function LoraCard({ lora }: { readonly lora: ShelfLora }) {
  const { key, source, enabled, weight, textEncoderWeight } = lora;
  const name = useStudio((state) => loraName(state, source) ?? 'LoRA');
  const report = useReport(source);
  const unreadable = useStudio((state) => {
    const found = state.toolReports[sourceKey(source)];
    return found === undefined || isReport(found) ? null : found;
  });
  const reportNeeded = useStudio((state) => state.toolReportNeeded);
  const unplugged = useStudio((state) => state.loraUnplugged);
  const switched = useStudio((state) => state.loraSwitched);
  const weightMoved = useStudio((state) => state.loraWeightMoved);
  const textEncoderWeightMoved = useStudio((state) => state.loraTextEncoderWeightMoved);
  const [open, setOpen] = useState(false);
  const detailsId = useId();
  useEffect(() => void reportNeeded({ key: sourceKey(source), input: source }), [source, reportNeeded]);
  const facts = report === undefined ? null : loraFacts(report);
  const hasTextEncoder = (report?.description.textEncoderModules ?? 0) > 0;
  return (
    <li className={enabled ? 'lora-card' : 'lora-card lora-card-off'} aria-label={name}>
      <div className="lora-head">
        <LoraThumb lora={lora} />
        <div className="lora-title">
          <strong title={name}>{name}</strong>
          <span>{facts?.summary ?? ' '}</span>
        </div>
        <Switch label={`Use ${name}`} checked={enabled} onChange={(on) => switched(key, on)} />
        <Hint text="Take off the shelf">
          <button
            type="button"
            className="icon-button icon-button-small"
            aria-label={`Take ${name} off the shelf`}
            onClick={() => unplugged(key)}
          >
            <X size={14} aria-hidden="true" />
          </button>
        </Hint>
      </div>
      <div className="lora-weight-row">
        <WeightSlider
          label={`Weight of ${name}`}
          testId="lora-slider"
          value={weight}
          disabled={!enabled}
          onChange={(next) => weightMoved(key, next)}
        />
        <button
          type="button"
          className="icon-button icon-button-small lora-more"
          aria-label={`More about ${name}`}
          aria-expanded={open}
          aria-controls={detailsId}
          onClick={() => setOpen(!open)}
        >
          <ChevronDown size={15} aria-hidden="true" />
        </button>
      </div>
      {unreadable !== null && <p className="field-error">{unreadable.message}</p>}
      {facts !== null && <TriggerWords words={facts.words.slice(0, open ? 24 : 3)} />}
      {report !== undefined && report.description.unmatched.length > 0 && (
        <Unmatched names={report.description.unmatched} />
      )}
      <div id={detailsId} className="lora-details" hidden={!open}>
        {open && (
          <>
            <StepChoice lora={lora} />
            {hasTextEncoder ? (
              <div className="lora-te">
                <div className="check-row">
                  <label>
                    <input
                      type="checkbox"
                      checked={textEncoderWeight !== null}
                      onChange={(event) => textEncoderWeightMoved(key, event.target.checked ? weight : null)}
                    />
                    Another weight for the text encoder
                  </label>
                  <Info term="textEncoderWeight" label="the text encoder’s weight" />
                </div>
                {textEncoderWeight !== null && (
                  <WeightSlider
                    label={`Text encoder weight of ${name}`}
                    value={textEncoderWeight}
                    onChange={(next) => textEncoderWeightMoved(key, next)}
                  />
                )}
              </div>
            ) : (
              <p className="field-hint">It changes the UNet only, not the text encoder.</p>
            )}
          </>
        )}
      </div>
    </li>
  );
}
