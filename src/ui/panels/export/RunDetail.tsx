import { Trash2, Wand } from 'lucide-react';
import { useEffect, useMemo } from 'react';
import { formatDate, shortModelName } from '../../../store/format.ts';
import type { ToolLora } from '../../../store/loraTools.ts';
import { summariseRecord } from '../../../store/runRecords.ts';
import type { SampleRow, StoredRun } from '../../../worker/protocol.ts';
import { Disclosure } from '../../components/Disclosure.tsx';
import { LossChart } from '../../components/LossChart.tsx';
import { StoryGrid } from '../../components/StoryGrid.tsx';
import { useWrapped } from '../../hooks/useWrapped.ts';
import { ImageLosses } from '../../run/ImageLosses.tsx';
import { RunLog } from '../../run/RunLog.tsx';
import { RunSettings } from '../../run/RunSettings.tsx';
import { TimestepLosses } from '../../run/TimestepLosses.tsx';
import { ValidationNote } from '../../run/ValidationNote.tsx';
import { RunShareMenu } from '../../settings/ShareMenu.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { LoraActions } from './LoraActions.tsx';
import { LoraReportOf } from './LoraReportOf.tsx';
import { RunName } from './RunName.tsx';
import { outcomeOf, useIsLive } from './runOutcome.ts';

const noRows: readonly SampleRow[] = [];

interface RunDetailProps {
  readonly run: StoredRun;
  /** Absent before the first step is done. */
  readonly lora: ToolLora | undefined;
}

/** A run: its settings, its loss, its samples, and what its file says. */
export function RunDetail({ run, lora }: RunDetailProps) {
  const rows = useStudio((state) => state.samplesByRun[run.id]);
  const isLive = useIsLive(run.id);
  const runDeleted = useStudio((state) => state.runDeleted);
  const generateLoraChosen = useStudio((state) => state.generateLoraChosen);
  const roomOpened = useStudio((state) => state.roomOpened);
  const stored = useWrapped(run.losses);
  const live = useStudio((state) => state.liveLosses);
  const liveValidation = useStudio((state) => state.liveValidation);
  const losses = isLive ? live : stored;
  const validation = isLive ? liveValidation : run.validation;
  const { options } = run;
  const record = useStudio((state) => state.recordsByRun[run.id]);
  const runRecordNeeded = useStudio((state) => state.runRecordNeeded);
  useEffect(() => void runRecordNeeded(run), [run, runRecordNeeded]);
  const summary = useMemo(() => (record === undefined ? null : summariseRecord(record)), [record]);
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
            <RunShareMenu runId={run.id} />
            {lora !== undefined && <LoraActions lora={lora} />}
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
      </section>
      <LossChart
        losses={losses}
        maxTrainSteps={options.maxTrainSteps}
        {...(validation === undefined ? {} : { validation })}
      />
      {validation !== undefined && <ValidationNote points={validation} />}
      <StoryGrid rows={rows ?? noRows} emptyText="No samples were drawn in this run." />
      {summary !== null && summary.images.length > 0 && (
        <div className="run-columns">
          <ImageLosses images={summary.images} />
          <TimestepLosses buckets={summary.buckets} />
        </div>
      )}
      <RunSettings options={options} />
      <RunLog events={run.events ?? []} />
      {lora !== undefined && (
        <section className="card raw" aria-label="What is in the file">
          <Disclosure title="What is in the file" aside="header, blocks, tensors">
            <LoraReportOf lora={lora} />
          </Disclosure>
        </section>
      )}
    </div>
  );
}
