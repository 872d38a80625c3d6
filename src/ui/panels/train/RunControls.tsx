import { Camera, Download, GitBranch, Pause, Play, Square, Wand } from 'lucide-react';
import { useState } from 'react';
import { useStudio } from '../../StudioContext.tsx';
import { BranchDialog } from './BranchDialog.tsx';

/** What one can do to the run that goes on. */
export function RunControls() {
  const phase = useStudio((state) => state.trainStatus?.phase ?? 'preparing');
  const command = useStudio((state) => state.trainCommand);
  const pressed = useStudio((state) => state.trainCommandPressed);
  const busy = command !== null;
  const paused = phase === 'paused';
  const running = phase === 'training' || phase === 'sampling';
  return (
    <div className="run-controls">
      <button
        type="button"
        className="button"
        disabled={busy || phase !== 'training'}
        onClick={() => void pressed('sampleNow')}
      >
        <Camera size={14} aria-hidden="true" /> Sample now
      </button>
      {paused ? (
        <button type="button" className="button button-primary" disabled={busy} onClick={() => void pressed('resume')}>
          <Play size={14} fill="currentColor" aria-hidden="true" /> Resume
        </button>
      ) : (
        <button type="button" className="button" disabled={busy || !running} onClick={() => void pressed('pause')}>
          <Pause size={14} fill="currentColor" aria-hidden="true" /> {command === 'pause' ? 'Pausing…' : 'Pause'}
        </button>
      )}
      <button type="button" className="button" disabled={busy} onClick={() => void pressed('stop')}>
        <Square size={12} fill="currentColor" aria-hidden="true" /> {command === 'stop' ? 'Stopping…' : 'Stop'}
      </button>
    </div>
  );
}

/** What one can do with a run that is over, for now: try it, take it away, go on with it, branch off. */
export function RunActions({ runId }: { readonly runId: string }) {
  const run = useStudio((state) => state.runs.find(({ id }) => id === runId));
  const isTaken = useStudio((state) => state.isTraining || state.watchedRun !== null);
  const exporting = useStudio((state) => state.exportingRunId === runId);
  const runExportPressed = useStudio((state) => state.runExportPressed);
  const generateLoraChosen = useStudio((state) => state.generateLoraChosen);
  const roomOpened = useStudio((state) => state.roomOpened);
  const runResumed = useStudio((state) => state.runResumed);
  const [branching, setBranching] = useState(false);
  if (run === undefined) return null;
  const canResume = run.globalStep < run.options.maxTrainSteps;
  return (
    <div className="run-controls">
      {canResume && (
        <button type="button" className="button" disabled={isTaken} onClick={() => void runResumed(runId)}>
          <Play size={14} fill="currentColor" aria-hidden="true" /> Resume
        </button>
      )}
      <button type="button" className="button" disabled={isTaken} onClick={() => setBranching(true)}>
        <GitBranch size={14} aria-hidden="true" /> Branch…
      </button>
      <button
        type="button"
        className="button"
        onClick={() => {
          generateLoraChosen(runId);
          roomOpened('try');
        }}
      >
        <Wand size={14} aria-hidden="true" /> Try it
      </button>
      <button
        type="button"
        className="button button-primary"
        disabled={exporting}
        onClick={() => void runExportPressed(runId)}
      >
        <Download size={14} aria-hidden="true" /> {exporting ? 'Exporting…' : 'Export'}
      </button>
      {branching && <BranchDialog run={run} onClose={() => setBranching(false)} />}
    </div>
  );
}
