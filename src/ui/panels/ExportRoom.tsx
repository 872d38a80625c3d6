import { Download, Pencil, Trash2, Wand } from 'lucide-react';
import { useEffect, useState } from 'react';
import { formatDate, plural, shortModelName } from '../../store/format.ts';
import type { SampleRow, StoredRun } from '../../worker/protocol.ts';
import { BlobImage } from '../components/BlobImage.tsx';
import { LogoMark } from '../components/Logo.tsx';
import { LossChart } from '../components/LossChart.tsx';
import { StoryGrid } from '../components/StoryGrid.tsx';
import { useWrapped } from '../hooks/useWrapped.ts';
import { useStudio } from '../StudioContext.tsx';

const noRows: readonly SampleRow[] = [];

/** How a run ended, in a word or two. */
function outcomeOf(run: StoredRun, isLive: boolean): string {
  if (isLive) return 'training now';
  if (run.globalStep >= run.options.maxTrainSteps) return `${run.globalStep} steps`;
  return `${run.finishedAt === null ? 'interrupted' : 'stopped'} at ${run.globalStep} of ${run.options.maxTrainSteps}`;
}

function useIsLive(runId: string): boolean {
  return useStudio((state) => state.isTraining && state.liveRunId === runId);
}

function RunItem({ run, selected }: { readonly run: StoredRun; readonly selected: boolean }) {
  const runSelected = useStudio((state) => state.runSelected);
  const runSamplesNeeded = useStudio((state) => state.runSamplesNeeded);
  const thumbnail = useStudio((state) => state.samplesByRun[run.id]?.at(-1)?.images[0]?.png);
  const isLive = useIsLive(run.id);
  useEffect(() => void runSamplesNeeded(run.id), [run.id, runSamplesNeeded]);
  return (
    <li>
      <button type="button" className="run-item" aria-pressed={selected} onClick={() => runSelected(run.id)}>
        {thumbnail === undefined ? (
          <span className="run-thumb run-thumb-none">
            <LogoMark size={22} />
          </span>
        ) : (
          <BlobImage blob={thumbnail} alt="" className="run-thumb" />
        )}
        <span className="run-text">
          <strong>{run.name}</strong>
          <span>{outcomeOf(run, isLive)}</span>
          <span>{formatDate(run.startedAt)}</span>
        </span>
      </button>
    </li>
  );
}

/** For a field that appears because somebody asked to type into it. */
function focusAndSelect(input: HTMLInputElement | null): void {
  input?.focus();
  input?.select();
}

function RunName({ run }: { readonly run: StoredRun }) {
  const [draft, setDraft] = useState<string | null>(null);
  const runRenamed = useStudio((state) => state.runRenamed);
  const commit = (): void => {
    const name = draft?.trim() ?? '';
    setDraft(null);
    if (name !== '' && name !== run.name) void runRenamed(run.id, name);
  };
  if (draft === null) {
    return (
      <div className="run-name">
        <h1>{run.name}</h1>
        <button
          type="button"
          className="icon-button"
          aria-label={`Rename ${run.name}`}
          onClick={() => setDraft(run.name)}
        >
          <Pencil size={14} aria-hidden="true" />
        </button>
      </div>
    );
  }
  return (
    <input
      className="input run-name-input"
      aria-label="New name"
      value={draft}
      ref={focusAndSelect}
      onChange={(event) => setDraft(event.target.value)}
      onBlur={commit}
      onKeyDown={(event) => {
        if (event.key === 'Enter') commit();
        if (event.key === 'Escape') setDraft(null);
      }}
    />
  );
}

function RunDetail({ run }: { readonly run: StoredRun }) {
  const rows = useStudio((state) => state.samplesByRun[run.id]);
  const exporting = useStudio((state) => state.exportingRunId === run.id);
  const isLive = useIsLive(run.id);
  const runExportPressed = useStudio((state) => state.runExportPressed);
  const runDeleted = useStudio((state) => state.runDeleted);
  const generateLoraChosen = useStudio((state) => state.generateLoraChosen);
  const roomOpened = useStudio((state) => state.roomOpened);
  const stored = useWrapped(run.losses);
  const live = useStudio((state) => state.liveLosses);
  const losses = isLive ? live : stored;
  const { options } = run;
  const facts: readonly [string, string][] = [
    ['Model', shortModelName(run.modelId)],
    ['Trigger word', run.triggerWord === '' ? 'none' : run.triggerWord],
    ['Images', String(run.imageCount)],
    ['Steps', `${run.globalStep} of ${options.maxTrainSteps}`],
    ['Rank / alpha', `${options.rank} / ${options.alpha}`],
    ['Learning rate', options.learningRate.toExponential().replace('e-', 'e−')],
    ['Batch', String(options.trainBatchSize)],
    ['Resolution', `${options.resolution} px`],
    ['Seed', String(options.seed)],
  ];
  return (
    <div className="live">
      <section className="card run-head" aria-label="Run">
        <div className="live-top">
          <div className="run-title">
            <RunName run={run} />
            <p className="run-sub">
              {outcomeOf(run, isLive)} · {formatDate(run.startedAt)}
            </p>
          </div>
          <div className="run-controls">
            <button
              type="button"
              className="button button-danger-quiet"
              disabled={isLive}
              onClick={() => void runDeleted(run.id)}
            >
              <Trash2 size={14} aria-hidden="true" /> Delete
            </button>
            <button
              type="button"
              className="button"
              onClick={() => {
                generateLoraChosen(run.id);
                roomOpened('try');
              }}
            >
              <Wand size={14} aria-hidden="true" /> Try it
            </button>
            <button
              type="button"
              className="button button-primary"
              disabled={exporting || run.globalStep === 0}
              onClick={() => void runExportPressed(run.id)}
            >
              <Download size={14} aria-hidden="true" /> {exporting ? 'Exporting…' : 'Export'}
            </button>
          </div>
        </div>
        <dl className="metrics">
          {facts.map(([label, value]) => (
            <div className="metric" key={label}>
              <dt>{label}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
        <p className="export-note">
          Export saves a <code>.safetensors</code> file that AUTOMATIC1111, Forge, ComfyUI, InvokeAI and diffusers load
          as it is.
        </p>
      </section>
      <LossChart losses={losses} maxTrainSteps={options.maxTrainSteps} />
      <StoryGrid rows={rows ?? noRows} emptyText="No samples were drawn in this run." />
    </div>
  );
}

export function ExportRoom() {
  const runs = useStudio((state) => state.runs);
  const loaded = useStudio((state) => state.runsLoaded);
  const selectedRunId = useStudio((state) => state.selectedRunId);
  const roomOpened = useStudio((state) => state.roomOpened);
  const run = runs.find(({ id }) => id === selectedRunId) ?? runs[0];
  if (loaded && run === undefined) {
    return (
      <main className="page">
        <div className="train-empty">
          <LogoMark size={56} />
          <h1>Your LoRAs will live here</h1>
          <p>
            Every run is kept in this browser with its samples and its loss, ready to be tried, compared and exported.
          </p>
          <button type="button" className="button button-primary button-large" onClick={() => roomOpened('train')}>
            Go to training
          </button>
        </div>
      </main>
    );
  }
  return (
    <div className="workspace">
      <aside className="inspector" aria-label="Your LoRAs">
        <div className="inspector-scroll">
          <section className="group">
            <h2>
              Your LoRAs <span className="group-note">{plural(runs.length, 'run')}</span>
            </h2>
            <ul className="run-list">
              {runs.map((item) => (
                <RunItem key={item.id} run={item} selected={item.id === run?.id} />
              ))}
            </ul>
          </section>
        </div>
      </aside>
      <main className="stage" aria-label="Run">
        {run !== undefined && <RunDetail key={run.id} run={run} />}
      </main>
    </div>
  );
}
