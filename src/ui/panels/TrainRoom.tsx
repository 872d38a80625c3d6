import { Check, Circle, Eye } from 'lucide-react';
import { type ReactNode, useEffect } from 'react';
import { formatBytes, formatEta, formatSpeed, plural, shortModelName } from '../../store/format.ts';
import type { SampleRow } from '../../worker/protocol.ts';
import { ErrorNote } from '../components/ErrorNote.tsx';
import { Info } from '../components/Info.tsx';
import { LogoMark } from '../components/Logo.tsx';
import { LossChart } from '../components/LossChart.tsx';
import { ProgressBar } from '../components/ProgressBar.tsx';
import { StoryGrid } from '../components/StoryGrid.tsx';
import { Strip } from '../components/Strip.tsx';
import { useWrapped } from '../hooks/useWrapped.ts';
import { useStudio } from '../StudioContext.tsx';
import { InterruptedRuns } from './train/InterruptedRuns.tsx';
import { Preflight } from './train/Preflight.tsx';
import { RunActions, RunControls } from './train/RunControls.tsx';
import { LiveLog } from './train/LiveLog.tsx';
import { RunQueue } from './train/RunQueue.tsx';
import { TrainSettings } from './TrainSettings.tsx';

const noRows: readonly SampleRow[] = [];

const phaseLabels = {
  preparing: 'Preparing',
  training: 'Training',
  sampling: 'Drawing samples',
  paused: 'Paused',
  finished: 'Finished',
  stopped: 'Stopped',
  failed: 'Failed',
};

function Metric({
  label,
  value,
  children,
}: {
  readonly label: string;
  readonly value: string;
  readonly children?: ReactNode;
}) {
  return (
    <div className="metric">
      <dt>
        {label}
        {children}
      </dt>
      <dd>{value}</dd>
    </div>
  );
}

/** Where the run stands: phase, progress, time left, speed, memory, and what one can do about it. */
function LiveHeader() {
  const status = useStudio((state) => state.trainStatus);
  const step = useStudio((state) => state.latestStep);
  const isTraining = useStudio((state) => state.isTraining);
  const liveRunId = useStudio((state) => state.liveRunId);
  const hasRun = useStudio((state) => state.runs.some(({ id }) => id === state.liveRunId));
  const phase = status?.phase ?? 'preparing';
  const preparing = phase === 'preparing';
  const share = preparing ? (status?.progress ?? null) : step === null ? null : step.globalStep / step.maxTrainSteps;
  const watched = useStudio((state) => state.watchedRun);
  const over = !isTraining && watched === null;
  return (
    <section className={`card live-head phase-${over && phase !== 'failed' ? 'over' : phase}`} aria-label="Run">
      <div className="live-top">
        <div className="live-title">
          <span className="phase-dot" aria-hidden="true" />
          <h2 data-testid="train-phase">{phaseLabels[phase]}</h2>
          <span className="live-detail">
            {status === null ? 'Waking the engine…' : status.detail !== phaseLabels[phase] && status.detail}
            {phase === 'sampling' && typeof status?.progress === 'number' && ` · ${Math.round(status.progress * 100)}%`}
          </span>
        </div>
        {isTraining && <RunControls />}
        {watched !== null && <WatchNote />}
        {over && watched === null && liveRunId !== null && hasRun && <RunActions runId={liveRunId} />}
      </div>
      <ProgressBar
        label={preparing ? 'Preparation' : 'Training progress'}
        value={over && phase === 'finished' ? 1 : share}
      />
      <dl className="metrics">
        <Metric label="Step" value={step === null ? '–' : `${step.globalStep} / ${step.maxTrainSteps}`} />
        <Metric
          label="Time left"
          value={step === null || over ? '–' : formatEta(step.etaSeconds).replace(' left', '')}
        />
        <Metric label="Speed" value={step === null ? '–' : formatSpeed(step.msPerStep)} />
        <Metric
          label="Per step"
          value={step === null ? '–' : `${Math.round(step.msPerStep).toLocaleString('en')} ms`}
        />
        <Metric
          label="GPU memory"
          value={step === null ? '–' : `${formatBytes(step.gpuBytes)} · peak ${formatBytes(step.gpuPeakBytes)}`}
        >
          <Info term="gpuMemory" label="GPU memory" />
        </Metric>
      </dl>
    </section>
  );
}

/** Why there are no buttons. */
function WatchNote() {
  return (
    <p className="watch-note">
      <Eye size={15} aria-hidden="true" /> Another tab trains this run. You can look on here; pause and stop are there.
    </p>
  );
}

function LiveChart() {
  const losses = useStudio((state) => state.liveLosses);
  const validation = useStudio((state) => state.liveValidation);
  const maxTrainSteps = useStudio(
    (state) =>
      state.latestStep?.maxTrainSteps ??
      state.watchedRun?.maxTrainSteps ??
      state.runs.find(({ id }) => id === state.liveRunId)?.options.maxTrainSteps ??
      (Number(state.trainForm.maxTrainSteps) || 1),
  );
  return <LossChart losses={losses} validation={validation} maxTrainSteps={maxTrainSteps} />;
}

function LiveStrip() {
  const step = useStudio((state) => state.latestStrip);
  if (step === null) {
    return (
      <section className="card strip-card" aria-label="This step" data-testid="strip" data-step={0}>
        <div className="card-head">
          <h3>This step</h3>
          <Info term="strip" label="this strip" />
        </div>
        <p className="strip-empty">
          Soon: an image, the same image under noise, and the model’s guess of what is beneath.
        </p>
      </section>
    );
  }
  return <Strip entries={step.strip} step={step.globalStep} />;
}

function LiveStory() {
  const rows = useStudio((state) => (state.liveRunId === null ? undefined : state.samplesByRun[state.liveRunId]));
  const every = useStudio((state) => Number(state.trainForm.sampleEvery));
  const text =
    every > 0
      ? `The first row comes after ${plural(every, 'step')}, or whenever you press “Sample now”.`
      : 'Samples are switched off; “Sample now” draws a row.';
  return <StoryGrid rows={rows ?? noRows} emptyText={text} />;
}

/** The newest stored run, shown after a reload until a new one starts. */
function LastRun({ runId }: { readonly runId: string }) {
  const run = useStudio((state) => state.runs.find(({ id }) => id === runId));
  const rows = useStudio((state) => state.samplesByRun[runId]);
  const runSamplesNeeded = useStudio((state) => state.runSamplesNeeded);
  useEffect(() => void runSamplesNeeded(runId), [runId, runSamplesNeeded]);

  const wrapped = useWrapped(run?.losses);
  if (run === undefined) return null;
  return (
    <>
      <section className="card live-head phase-over" aria-label="Last run">
        <div className="live-top">
          <div className="live-title">
            <span className="phase-dot" aria-hidden="true" />
            <h2>Last run: {run.name}</h2>
            <span className="live-detail">
              {run.globalStep} of {run.options.maxTrainSteps} steps
            </span>
          </div>
          <RunActions runId={run.id} />
        </div>
      </section>
      <LossChart
        losses={wrapped}
        {...(run.validation ? { validation: run.validation } : {})}
        maxTrainSteps={run.options.maxTrainSteps}
      />
      <StoryGrid rows={rows ?? noRows} emptyText="No samples were drawn in this run." />
      <LiveLog runId={run.id} />
    </>
  );
}

function ReadyCheck({
  done,
  label,
  detail,
  onOpen,
}: {
  readonly done: boolean;
  readonly label: string;
  readonly detail: string;
  readonly onOpen?: () => void;
}) {
  return (
    <li className={done ? 'ready-row ready-row-done' : 'ready-row'}>
      {done ? <Check size={15} strokeWidth={2.5} aria-label="Done" /> : <Circle size={15} aria-label="Not yet" />}
      <strong>{label}</strong>
      <span>{detail}</span>
      {!done && onOpen !== undefined && (
        <button type="button" className="button button-small" onClick={onOpen}>
          Go there
        </button>
      )}
    </li>
  );
}

function BeforeFirstRun() {
  const modelId = useStudio((state) => state.selectedModelId);
  const count = useStudio((state) => state.images.length);
  const isReading = useStudio((state) => state.adding !== null || state.sampleSetLoading !== null);
  const trigger = useStudio((state) => state.triggerWord.trim());
  const roomOpened = useStudio((state) => state.roomOpened);
  return (
    <div className="train-empty">
      <LogoMark size={56} />
      <h2 className="headline">Ready when you are</h2>
      <p>
        Once started, you watch the model guess your images from noise, the loss fall, and a row of test pictures grow
        every few steps. You can pause or stop at any time and keep what was learned.
      </p>
      <ul className="ready-list">
        <ReadyCheck
          done={modelId !== null}
          label="Model"
          detail={modelId === null ? 'none yet' : shortModelName(modelId)}
          onOpen={() => roomOpened('model')}
        />
        <ReadyCheck
          done={count > 0 && !isReading}
          label="Images"
          detail={isReading ? 'being read…' : count > 0 ? `${count} in the set` : 'none yet'}
          onOpen={() => roomOpened('images')}
        />
        <ReadyCheck
          done={trigger !== ''}
          label="Trigger word"
          detail={trigger === '' ? 'optional, but useful' : trigger}
          onOpen={() => roomOpened('images')}
        />
      </ul>
    </div>
  );
}

export function TrainRoom() {
  const runsLoaded = useStudio((state) => state.runsLoaded);
  const trainError = useStudio((state) => state.trainError);
  const isLive = useStudio((state) => state.isTraining || state.trainStatus !== null || state.watchedRun !== null);
  const lastRunId = useStudio((state) => state.runs.find((run) => run.globalStep > 0)?.id ?? null);
  const liveRunId = useStudio((state) => state.liveRunId);
  const isTraining = useStudio((state) => state.isTraining);
  // A deleted run takes its live view with it.
  const showLive = isLive && (isTraining || liveRunId !== null || trainError !== null);
  return (
    <div className="workspace">
      <h1 className="visually-hidden">Train</h1>
      <TrainSettings />
      <main className="stage" aria-label="Training">
        <InterruptedRuns />
        {trainError !== null && <ErrorNote error={trainError} />}
        <Preflight />
        {!showLive && <RunQueue />}
        {showLive && (
          <div className="live">
            <LiveHeader />
            <RunQueue />
            <div className="live-middle">
              <LiveChart />
              <LiveStrip />
            </div>
            <LiveStory />
            {liveRunId !== null && <LiveLog runId={liveRunId} />}
          </div>
        )}
        {!showLive && lastRunId !== null && (
          <div className="live">
            <LastRun key={lastRunId} runId={lastRunId} />
          </div>
        )}
        {!showLive && lastRunId === null && runsLoaded && <BeforeFirstRun />}
      </main>
    </div>
  );
}
