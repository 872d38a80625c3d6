import { GitBranch } from 'lucide-react';
import { useEffect, useState } from 'react';
import { initialBranchForm, readBranchForm, type BranchForm } from '../../../store/branchForm.ts';
import type { CheckpointInfo, ListedRun } from '../../../worker/protocol.ts';
import { Field, TextField } from '../../components/Field.tsx';
import { Modal } from '../../components/Modal.tsx';
import { useStudio } from '../../StudioContext.tsx';

interface BranchDialogProps {
  readonly run: ListedRun;
  readonly onClose: () => void;
}

/** Continue from a kept step with another rate: a new run, beside the one that it comes from. */
export function BranchDialog({ run, onClose }: BranchDialogProps) {
  const checkpointsNeeded = useStudio((state) => state.checkpointsNeeded);
  const runBranched = useStudio((state) => state.runBranched);
  const [checkpoints, setCheckpoints] = useState<readonly CheckpointInfo[] | null>(null);
  const [form, setForm] = useState<BranchForm | null>(null);
  useEffect(() => {
    let open = true;
    void checkpointsNeeded(run.id).then((found) => {
      if (!open) return;
      setCheckpoints(found);
      setForm(initialBranchForm(run, found));
    });
    return () => {
      open = false;
    };
  }, [run, checkpointsNeeded]);
  const change = (part: Partial<BranchForm>): void => setForm((old) => old && { ...old, ...part });
  const read = form === null ? null : readBranchForm(form, run);
  const submit = (): void => {
    if (!read?.request) return;
    onClose();
    void runBranched(read.request);
  };
  const none = checkpoints?.length === 0;
  return (
    <Modal
      open
      onClose={onClose}
      title={`Branch off “${run.name}”`}
      detail="A new run goes on from a step of this one, with its images and its other settings. This run stays as it is."
      actions={
        <>
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="button" className="button button-primary" disabled={!read?.request} onClick={submit}>
            <GitBranch size={14} aria-hidden="true" /> Start the branch
          </button>
        </>
      }
    >
      {none && <p className="warn-text">This run has no checkpoints: an older version trained it.</p>}
      {form !== null && read !== null && !none && (
        <div className="stack">
          <TextField label="Name" value={form.name} error={read.errors.name} onChange={(name) => change({ name })} />
          <Field label="From step" term="checkpoint">
            {(control) => (
              <select
                {...control}
                className="select"
                value={form.globalStep}
                onChange={(event) => change({ globalStep: event.target.value })}
              >
                {(checkpoints ?? []).map(({ globalStep }) => (
                  <option key={globalStep} value={globalStep}>
                    {globalStep === 0 ? '0, before the first' : globalStep}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <div className="pair">
            <TextField
              label="Learning rate"
              term="learningRate"
              inputMode="decimal"
              value={form.learningRate}
              error={read.errors.learningRate}
              hint={`Was ${run.options.learningRate.toExponential()}.`}
              onChange={(learningRate) => change({ learningRate })}
            />
            <TextField
              label="Until step"
              inputMode="numeric"
              value={form.maxTrainSteps}
              error={read.errors.maxTrainSteps}
              hint={`Was ${run.options.maxTrainSteps}.`}
              onChange={(maxTrainSteps) => change({ maxTrainSteps })}
            />
          </div>
        </div>
      )}
    </Modal>
  );
}
