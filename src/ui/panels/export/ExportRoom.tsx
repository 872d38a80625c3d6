import { FileSearch } from 'lucide-react';
import { useEffect } from 'react';
import { formatDate, plural } from '../../../store/format.ts';
import type { ToolLora } from '../../../store/loraTools.ts';
import { sourceKey } from '../../../store/shelf.ts';
import type { StoredRun } from '../../../worker/protocol.ts';
import { BlobImage } from '../../components/BlobImage.tsx';
import { DropLine } from '../../components/DropLine.tsx';
import { LogoMark } from '../../components/Logo.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { FileDetail } from './FileDetail.tsx';
import { RunDetail } from './RunDetail.tsx';
import { outcomeOf, useIsLive } from './runOutcome.ts';
import { useToolLoras } from './WeightedPicks.tsx';

function RunItem({ run, selected }: { readonly run: StoredRun; readonly selected: boolean }) {
  const loraSelected = useStudio((state) => state.loraSelected);
  const runSamplesNeeded = useStudio((state) => state.runSamplesNeeded);
  const thumbnail = useStudio((state) => state.samplesByRun[run.id]?.at(-1)?.images[0]?.png);
  const isLive = useIsLive(run.id);
  useEffect(() => void runSamplesNeeded(run.id), [run.id, runSamplesNeeded]);
  return (
    <li>
      <button
        type="button"
        className="run-item"
        aria-pressed={selected}
        onClick={() => loraSelected(sourceKey({ kind: 'run', runId: run.id }))}
      >
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

function FileItem({ lora, selected }: { readonly lora: ToolLora; readonly selected: boolean }) {
  const loraSelected = useStudio((state) => state.loraSelected);
  return (
    <li>
      <button type="button" className="run-item" aria-pressed={selected} onClick={() => loraSelected(lora.key)}>
        <span className="run-thumb run-thumb-small run-thumb-none">
          <LogoMark size={18} />
        </span>
        <span className="run-text">
          <strong>{lora.name}</strong>
          <span>{lora.kind === 'file' ? 'in the library' : 'looked at'}</span>
        </span>
      </button>
    </li>
  );
}

/** Where files are dropped to be looked into. */
function InspectZone({ large = false }: { readonly large?: boolean }) {
  const inspected = useStudio((state) => state.loraFilesInspected);
  return (
    <DropLine label="Look into LoRA files" testId="inspect-input" onFiles={inspected}>
      <FileSearch size={15} aria-hidden="true" className="inline-icon" /> Drop any LoRA file to see what is in it
      {large ? ', resize it, merge it, or bake it into a model.' : '.'}
    </DropLine>
  );
}

/** Runs and files: looked at, tried, and taken away in any form. */
export function ExportRoom() {
  const runs = useStudio((state) => state.runs);
  const loaded = useStudio((state) => state.runsLoaded);
  const selectedRunId = useStudio((state) => state.selectedRunId);
  const selectedLoraKey = useStudio((state) => state.selectedLoraKey);
  const roomOpened = useStudio((state) => state.roomOpened);
  const libraryRefreshed = useStudio((state) => state.libraryRefreshed);
  const loras = useToolLoras();
  useEffect(() => void libraryRefreshed(), [libraryRefreshed]);
  const files = loras.filter(({ kind }) => kind !== 'run');
  const file = files.find(({ key }) => key === selectedLoraKey) ?? (runs.length === 0 ? files[0] : undefined);
  const run = file === undefined ? (runs.find(({ id }) => id === selectedRunId) ?? runs[0]) : undefined;
  // A moment at the start: nothing is better than a room that changes under the pointer.
  if (!loaded) return <main className="page" aria-busy="true" />;
  if (run === undefined && file === undefined) {
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
          <div className="inspect-empty">
            <InspectZone large />
          </div>
        </div>
      </main>
    );
  }
  return (
    <div className="workspace">
      <aside className="inspector" aria-label="Your LoRAs">
        <div className="inspector-scroll">
          {runs.length > 0 && (
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
          )}
          <section className="group">
            <h2>
              Files <span className="group-note">{files.length > 0 && plural(files.length, 'file')}</span>
            </h2>
            {files.length > 0 && (
              <ul className="run-list">
                {files.map((lora) => (
                  <FileItem key={lora.key} lora={lora} selected={lora.key === file?.key} />
                ))}
              </ul>
            )}
            <InspectZone />
          </section>
        </div>
      </aside>
      <main className="stage" aria-label="Run">
        {run !== undefined && (
          <RunDetail
            key={run.id}
            run={run}
            lora={loras.find(({ key }) => key === sourceKey({ kind: 'run', runId: run.id }))}
          />
        )}
        {file !== undefined && <FileDetail key={file.key} lora={file} />}
      </main>
    </div>
  );
}
