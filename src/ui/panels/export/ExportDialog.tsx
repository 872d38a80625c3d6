import { Download } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { type PlainError, toPlainError } from '../../../core/errors.ts';
import { formatBytes } from '../../../store/format.ts';
import { isReport, type ToolLora } from '../../../store/loraTools.ts';
import { saveBlob } from '../../../store/saveBlob.ts';
import { sourceKey } from '../../../store/shelf.ts';
import { thumbnailUrl } from '../../../store/thumbnail.ts';
import type { HeaderEdits, LoraInput, LoraWriteOptions, LoraWritten, SampleRow } from '../../../worker/protocol.ts';
import { BlobImage } from '../../components/BlobImage.tsx';
import { ErrorNote } from '../../components/ErrorNote.tsx';
import { Field, TextField } from '../../components/Field.tsx';
import { Modal } from '../../components/Modal.tsx';
import { ProgressBar } from '../../components/ProgressBar.tsx';
import { Switch } from '../../components/Switch.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { ToolVerdicts } from './ToolVerdicts.tsx';
import { WriteFields } from './WriteFields.tsx';

const noRows: readonly SampleRow[] = [];
const offeredThumbnails = 8;

/** A run's input at another step of its training. */
function atStep(input: LoraInput, step: number | null): LoraInput {
  if (input.kind !== 'run') return input;
  return { kind: 'run', runId: input.runId, ...(step === null ? {} : { globalStep: step }) };
}

interface Writing {
  /** What would be written in this form; null while it is being found out. */
  readonly written: LoraWritten | PlainError | null;
  readonly progress: number;
}

/** Writes the file whenever its form changes: who takes it, and how large it is. */
function useWritten(input: LoraInput, { form, dtype }: Pick<LoraWriteOptions, 'form' | 'dtype'>): Writing {
  const loraWritten = useStudio((state) => state.loraWritten);
  const wish = useMemo(() => ({ input, options: { form, dtype } }), [input, form, dtype]);
  const [answer, setAnswer] = useState<{ readonly to: typeof wish; readonly file: LoraWritten | PlainError } | null>(
    null,
  );
  const [progress, setProgress] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    loraWritten(wish.input, wish.options, { signal, onProgress: setProgress }).then(
      (file) => setAnswer({ to: wish, file }),
      (error: unknown) => {
        if (!signal.aborted) setAnswer({ to: wish, file: toPlainError(error) });
      },
    );
    return () => controller.abort();
  }, [wish, loraWritten]);
  return { written: answer?.to === wish ? answer.file : null, progress };
}

/** A picture that may become the thumbnail. */
interface Candidate {
  readonly png: Blob;
  readonly label: string;
}

/** The run's samples, the latest first, and then the pictures of the gallery that were drawn with it. */
function useCandidates({ input, key }: ToolLora): readonly Candidate[] {
  const rows = useStudio((state) => (input.kind === 'run' ? state.samplesByRun[input.runId] : undefined)) ?? noRows;
  const pictures = useStudio((state) => state.pictures);
  return useMemo(() => {
    const samples = rows
      .toReversed()
      .flatMap(({ globalStep, images }) =>
        images.map(({ png, prompt }) => ({ png, label: `${prompt}, step ${globalStep}` })),
      );
    const drawn = pictures
      .filter(({ request }) => request.loras.some(({ source, enabled = true }) => enabled && sourceKey(source) === key))
      .toReversed()
      .map(({ png, request }) => ({ png, label: `${request.prompt}, seed ${request.seed}` }));
    return [...samples.slice(0, offeredThumbnails), ...drawn.slice(0, offeredThumbnails)];
  }, [rows, pictures, key]);
}

interface ThumbnailsProps {
  readonly candidates: readonly Candidate[];
  readonly own: string | null;
  readonly chosen: string | null;
  readonly onChoose: (url: string | null) => void;
}

/** Pictures to pick one from. */
function Thumbnails({ candidates, own, chosen, onChoose }: ThumbnailsProps) {
  const [picked, setPicked] = useState<Blob | null>(null);
  return (
    <fieldset className="choice-field">
      <legend>Thumbnail</legend>
      <div className="thumbs">
        <button
          type="button"
          className="thumb thumb-none"
          aria-pressed={chosen === null}
          onClick={() => {
            setPicked(null);
            onChoose(null);
          }}
        >
          none
        </button>
        {own !== null && (
          <button
            type="button"
            className="thumb"
            aria-label="The one in the file"
            aria-pressed={chosen === own}
            onClick={() => onChoose(own)}
          >
            <img src={own} alt="" />
          </button>
        )}
        {candidates.map(({ png, label }, index) => (
          <button
            key={index}
            type="button"
            className="thumb"
            aria-label={label}
            aria-pressed={chosen !== null && picked === png}
            onClick={() => {
              setPicked(png);
              void thumbnailUrl(png).then(onChoose);
            }}
          >
            <BlobImage blob={png} alt="" />
          </button>
        ))}
      </div>
    </fieldset>
  );
}

interface ExportFormProps {
  readonly lora: ToolLora;
  readonly start: HeaderEdits;
  readonly hasTags: boolean;
  readonly onClose: () => void;
}

function ExportForm({ lora, start, hasTags, onClose }: ExportFormProps) {
  const runId = lora.input.kind === 'run' ? lora.input.runId : null;
  const candidates = useCandidates(lora);
  const steps = useStudio((state) => (runId === null ? undefined : state.runSteps[runId]));
  const runStepsNeeded = useStudio((state) => state.runStepsNeeded);
  const loraWritten = useStudio((state) => state.loraWritten);
  const toastShown = useStudio((state) => state.toastShown);
  const [write, setWrite] = useState<Pick<LoraWriteOptions, 'form' | 'dtype'>>({ form: 'kohya', dtype: 'F32' });
  const [header, setHeader] = useState(start);
  const [input, setInput] = useState(lora.input);
  const [saving, setSaving] = useState(false);
  const [saved, setSaved] = useState(0);
  const closed = useRef(new AbortController());
  const { written, progress } = useWritten(input, write);
  useEffect(() => {
    if (runId !== null) void runStepsNeeded(runId);
  }, [runId, runStepsNeeded]);
  const edit = (values: Partial<HeaderEdits>): void => setHeader({ ...header, ...values });
  const save = async (): Promise<void> => {
    setSaving(true);
    try {
      const watch = { signal: closed.current.signal, onProgress: setSaved };
      const { blob, fileName } = await loraWritten(input, { ...write, header }, watch);
      saveBlob(blob, fileName);
      toastShown({ kind: 'success', title: 'LoRA exported', detail: fileName });
      onClose();
    } catch (error) {
      if (closed.current.signal.aborted) return;
      const { message, remedy } = toPlainError(error);
      toastShown({ kind: 'error', title: 'The LoRA could not be exported', detail: `${message} ${remedy}` });
    } finally {
      setSaving(false);
    }
  };
  const file = written !== null && 'blob' in written ? written : null;
  const close = (): void => {
    closed.current.abort();
    onClose();
  };
  return (
    <Modal
      open
      onClose={close}
      size="wide"
      title={`Export “${lora.name}”`}
      detail="What stands here is written into the file’s header, where other tools show it."
      actions={
        <>
          <span className="modal-fact">{file === null ? '' : formatBytes(file.blob.size)}</span>
          <button type="button" className="button" onClick={close}>
            Cancel
          </button>
          <button
            type="button"
            className="button button-primary"
            disabled={saving || file === null || header.title.trim() === ''}
            onClick={() => void save()}
          >
            <Download size={14} aria-hidden="true" /> {saving ? 'Saving…' : 'Save file'}
          </button>
        </>
      }
    >
      <div className="export-columns">
        <div className="stack">
          <div className="pair">
            <TextField
              label="Title"
              value={header.title}
              error={header.title.trim() === '' ? 'A title is needed: the file is called by it.' : undefined}
              onChange={(title) => edit({ title })}
            />
            <TextField
              label="Trigger phrase"
              term="triggerWord"
              value={header.triggerPhrase}
              onChange={(triggerPhrase) => edit({ triggerPhrase })}
            />
          </div>
          <Field label="Description">
            {(control) => (
              <textarea
                {...control}
                className="input"
                rows={2}
                value={header.description}
                placeholder="What it draws, and what weight suits it"
                onChange={(event) => edit({ description: event.target.value })}
              />
            )}
          </Field>
          <div className="pair">
            <TextField label="Author" value={header.author} onChange={(author) => edit({ author })} />
            <TextField
              label="Licence"
              value={header.license}
              placeholder="CC-BY-4.0"
              onChange={(license) => edit({ license })}
            />
          </div>
          <TextField
            label="Tags"
            value={header.tags}
            placeholder="style, pixel art"
            onChange={(tags) => edit({ tags })}
          />
          <Thumbnails
            candidates={candidates}
            own={start.thumbnail}
            chosen={header.thumbnail}
            onChoose={(thumbnail) => edit({ thumbnail })}
          />
          {hasTags && (
            <div className="switch-row">
              <span>Say which words the captions hold, and how often</span>
              <Switch
                label="Write the words of the captions into the file"
                checked={header.tagFrequency}
                onChange={(tagFrequency) => edit({ tagFrequency })}
              />
            </div>
          )}
        </div>
        <div className="stack export-side">
          {steps !== undefined && steps.length > 1 && (
            <Field label="Step of the training">
              {(control) => (
                <select
                  {...control}
                  className="select"
                  onChange={(event) =>
                    setInput(atStep(lora.input, event.target.value === '' ? null : Number(event.target.value)))
                  }
                >
                  <option value="">the latest</option>
                  {steps.map((step) => (
                    <option key={step} value={step}>
                      {step}
                    </option>
                  ))}
                </select>
              )}
            </Field>
          )}
          <WriteFields value={write} onChange={setWrite} />
          <div className="stack-tight">
            <p className="field-head">Who will take this file</p>
            {written === null && <ProgressBar label="Asking" value={progress} />}
            {saving && <ProgressBar label="Saving" value={saved} />}
            {written !== null && !('blob' in written) && <ErrorNote error={written} />}
            {file !== null && <ToolVerdicts tools={file.tools} />}
          </div>
        </div>
      </div>
    </Modal>
  );
}

/** Asks how a LoRA is to be written, says who will take it, and saves it. */
export function ExportDialog({ lora, onClose }: { readonly lora: ToolLora; readonly onClose: () => void }) {
  const report = useStudio((state) => state.toolReports[lora.key]);
  const needed = useStudio((state) => state.toolReportNeeded);
  useEffect(() => void needed(lora), [lora, needed]);
  if (report === undefined) return null;
  const metadata = isReport(report) ? report.metadata : {};
  const text = (key: string): string => metadata[`modelspec.${key}`] ?? '';
  const start: HeaderEdits = {
    title: lora.name,
    triggerPhrase: text('trigger_phrase'),
    description: text('description'),
    author: text('author'),
    license: text('license'),
    tags: text('tags'),
    thumbnail: text('thumbnail') || null,
    tagFrequency: true,
  };
  return <ExportForm lora={lora} start={start} hasTags={'ss_tag_frequency' in metadata} onClose={onClose} />;
}
