import {
  ArrowRight,
  Check,
  ChevronRight,
  Download as DownloadIcon,
  HardDrive,
  Lock,
  MonitorCheck,
  Play,
  Sparkles,
  Trash2,
  X,
} from 'lucide-react';
import { type FormEvent, useEffect, useState } from 'react';
import { demoModel } from '../../core/demoModel.ts';
import { formatBytes, formatDate, formatEta, plural, shortModelName } from '../../store/format.ts';
import { defaultEndpoint, explainEndpoint, parseHubId } from '../../store/hubId.ts';
import { downloadEta } from '../../store/model.ts';
import type { ListedModel } from '../../worker/protocol.ts';
import { ConfirmDialog } from '../components/ConfirmDialog.tsx';
import { ErrorNote } from '../components/ErrorNote.tsx';
import { Field, TextField } from '../components/Field.tsx';
import { Info } from '../components/Info.tsx';
import { NoiseArt } from '../components/NoiseArt.tsx';
import { ProgressBar } from '../components/ProgressBar.tsx';
import { SampleThumbs } from '../components/SampleSets.tsx';
import { useStudio } from '../StudioContext.tsx';

const curated = {
  id: 'stable-diffusion-v1-5/stable-diffusion-v1-5',
  name: 'Stable Diffusion 1.5',
  size: '2 GB',
  about: 'The classic. Small, quick to train, and the base that thousands of LoRAs and tools share.',
};

const promises = [
  { icon: MonitorCheck, text: 'Nothing to install' },
  { icon: Lock, text: 'No image leaves this machine' },
  { icon: Sparkles, text: 'Works with the tools you know' },
];

/** The model that comes with the page: from nothing to the Start button in one click. */
function DemoCard() {
  const bytes = useStudio((state) => state.models.find(({ id }) => id === demoModel.id)?.bytes);
  const listed = bytes !== undefined;
  const modelsLoaded = useStudio((state) => state.modelsLoaded);
  const selected = useStudio((state) => state.selectedModelId === demoModel.id);
  const firstSet = useStudio((state) => state.sampleSets?.[0]);
  const imageCount = useStudio((state) => state.images.length);
  const isTraining = useStudio((state) => state.isTraining);
  const samplesNeeded = useStudio((state) => state.samplesNeeded);
  const demoTried = useStudio((state) => state.demoTried);
  useEffect(() => void (listed && samplesNeeded()), [listed, samplesNeeded]);
  // Until the list has come it is taken to be there: the page must not jump a moment after it has opened.
  if (modelsLoaded && !listed) return null;
  return (
    <section className={selected ? 'card choice choice-selected' : 'card choice'} aria-labelledby="demo-title">
      <p className="eyebrow">Comes with the page{listed && ` · ${formatBytes(bytes)}`}</p>
      <h2 id="demo-title">Demo model</h2>
      <p className="choice-about">
        A small model of emoji drawings, 64 pixels wide. See what training a LoRA is like, from images to file, before
        you fetch a big one.
      </p>
      {firstSet !== undefined && <SampleThumbs set={firstSet} count={7} />}
      <div className="choice-foot">
        <button
          type="button"
          className="button button-primary button-large"
          disabled={isTraining || !listed}
          onClick={() => void demoTried()}
        >
          <Play size={14} fill="currentColor" aria-hidden="true" /> Try it now
        </button>
        <span className="choice-note">
          {imageCount === 0 && firstSet !== undefined && `with ${firstSet.images.length} sample images`}
          {imageCount > 0 && `with ${plural(imageCount, 'image')} of yours`}
        </span>
      </div>
    </section>
  );
}

function CuratedCard() {
  const stored = useStudio((state) => state.models.some(({ id }) => id === curated.id));
  const hasDemo = useStudio((state) => !state.modelsLoaded || state.models.some(({ isBuiltIn }) => isBuiltIn));
  const selected = useStudio((state) => state.selectedModelId === curated.id);
  const busy = useStudio((state) => state.download !== null);
  const interrupted = useStudio((state) => state.interruptedModelId === curated.id);
  const modelDownloadRequested = useStudio((state) => state.modelDownloadRequested);
  const modelSelected = useStudio((state) => state.modelSelected);
  return (
    <section className={selected ? 'card choice choice-selected' : 'card choice'} aria-labelledby="curated-title">
      <p className="eyebrow">Recommended for your own pictures</p>
      <h2 id="curated-title">{curated.name}</h2>
      <p className="choice-about">{curated.about}</p>
      <p className="choice-id">{curated.id}</p>
      <div className="choice-foot">
        {selected ? (
          <span className="ready">
            <Check size={15} strokeWidth={2.5} aria-hidden="true" /> In use
          </span>
        ) : (
          <button
            type="button"
            className={hasDemo ? 'button button-large' : 'button button-primary button-large'}
            disabled={busy}
            onClick={() => (stored ? modelSelected(curated.id) : void modelDownloadRequested(curated.id))}
          >
            {!stored && <DownloadIcon size={15} aria-hidden="true" />}
            {stored && `Use ${curated.name}`}
            {!stored && (interrupted ? `Resume ${curated.name}` : `Get ${curated.name} · ${curated.size}`)}
          </button>
        )}
      </div>
    </section>
  );
}

function HubCard() {
  const [text, setText] = useState('');
  const [advanced, setAdvanced] = useState(false);
  const [touched, setTouched] = useState(false);
  const hasDemo = useStudio((state) => state.models.some(({ isBuiltIn }) => isBuiltIn));
  const endpoint = useStudio((state) => state.endpoint);
  const token = useStudio((state) => state.accessToken);
  const busy = useStudio((state) => state.download !== null);
  const endpointEdited = useStudio((state) => state.endpointEdited);
  const accessTokenEdited = useStudio((state) => state.accessTokenEdited);
  const modelDownloadRequested = useStudio((state) => state.modelDownloadRequested);
  const id = parseHubId(text);
  const endpointError = explainEndpoint(endpoint);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setTouched(true);
    if (endpointError !== null) setAdvanced(true);
    else if (id !== null) void modelDownloadRequested(id);
  };
  return (
    <section className={hasDemo ? 'card choice choice-wide' : 'card choice'} aria-labelledby="hub-title">
      <div>
        <p className="eyebrow">Any other</p>
        <h2 id="hub-title">A model from the Hub</h2>
        <p className="choice-about">Any model built like Stable Diffusion 1.5, in the diffusers format.</p>
      </div>
      <form className="hub-form" onSubmit={submit} noValidate>
        <Field
          label="Hub id"
          term="hubId"
          error={touched && id === null ? 'Enter an id like owner/name, as on the model’s page.' : undefined}
        >
          {(control) => (
            <div className="input-row">
              <input
                {...control}
                className="input"
                value={text}
                placeholder="owner/name"
                autoComplete="off"
                autoCapitalize="none"
                spellCheck={false}
                onChange={(event) => setText(event.target.value)}
              />
              <button type="submit" className={hasDemo ? 'button' : 'button button-primary'} disabled={busy}>
                Load
              </button>
            </div>
          )}
        </Field>
        <button type="button" className="disclosure" aria-expanded={advanced} onClick={() => setAdvanced(!advanced)}>
          <ChevronRight size={14} aria-hidden="true" /> Advanced: endpoint and access token
        </button>
        {advanced && (
          <div className="stack">
            <TextField
              label="Hub endpoint"
              term="endpoint"
              value={endpoint}
              inputMode="url"
              placeholder={defaultEndpoint}
              error={endpointError ?? undefined}
              onChange={endpointEdited}
            />
            <TextField
              label="Access token"
              term="token"
              type="password"
              value={token}
              placeholder="hf_…"
              hint="Kept in memory only, for this visit. Never stored."
              onChange={accessTokenEdited}
            />
          </div>
        )}
      </form>
    </section>
  );
}

function DownloadCard() {
  const download = useStudio((state) => state.download);
  const modelDownloadCancelled = useStudio((state) => state.modelDownloadCancelled);
  if (download === null) return null;
  const { progress, modelId, cancelling } = download;
  const share = progress === null || progress.totalBytes === 0 ? null : progress.loadedBytes / progress.totalBytes;
  return (
    <section className="card download" aria-label={`Loading ${modelId}`} data-testid="download">
      <div className="download-head">
        <h3>Loading {modelId}</h3>
        <button type="button" className="button button-small" disabled={cancelling} onClick={modelDownloadCancelled}>
          <X size={14} aria-hidden="true" /> {cancelling ? 'Cancelling…' : 'Cancel'}
        </button>
      </div>
      <ProgressBar label={`Download of ${modelId}`} value={share} />
      <div className="download-facts">
        {progress === null ? (
          <span>Asking the Hub what there is…</span>
        ) : (
          <>
            <span className="download-file">{progress.file}</span>
            <span>
              {formatBytes(progress.loadedBytes)} of {formatBytes(progress.totalBytes)}
            </span>
            <span>{progress.bytesPerSecond > 0 ? `${formatBytes(progress.bytesPerSecond)}/s` : '…'}</span>
            <span>{formatEta(downloadEta(progress))}</span>
          </>
        )}
      </div>
    </section>
  );
}

function StoredRow({ model }: { readonly model: ListedModel }) {
  const selected = useStudio((state) => state.selectedModelId === model.id);
  const modelSelected = useStudio((state) => state.modelSelected);
  return (
    <li className={selected ? 'stored stored-selected' : 'stored'}>
      <button
        type="button"
        className="stored-main"
        aria-pressed={selected}
        aria-label={`Use ${model.id}`}
        onClick={() => modelSelected(model.id)}
      >
        <span className="radio" aria-hidden="true" />
        <span className="stored-name">
          <strong>{shortModelName(model.id)}</strong>
          <span>{model.isBuiltIn ? 'comes with the page' : model.id}</span>
        </span>
      </button>
      {selected && <span className="tag">In use</span>}
      <span
        className="stored-size"
        title={`Version ${model.revision.slice(0, 8)}${model.isBuiltIn ? '' : `, saved ${formatDate(model.savedAt)}`}`}
      >
        {formatBytes(model.bytes)}
      </span>
      {!model.isBuiltIn && <DeleteModel model={model} />}
    </li>
  );
}

function DeleteModel({ model }: { readonly model: ListedModel }) {
  const modelDeleteConfirmed = useStudio((state) => state.modelDeleteConfirmed);
  const locked = useStudio((state) => state.isTraining && state.selectedModelId === model.id);
  return (
    <ConfirmDialog
      title={`Delete ${shortModelName(model.id)}?`}
      detail={`This frees ${formatBytes(model.bytes)}. Your runs stay, but to use them again the model must be downloaded once more.`}
      confirmLabel="Delete model"
      onConfirm={() => void modelDeleteConfirmed(model.id)}
    >
      <button type="button" className="icon-button" aria-label={`Delete ${model.id}`} disabled={locked}>
        <Trash2 size={15} aria-hidden="true" />
      </button>
    </ConfirmDialog>
  );
}

function StorageBar() {
  const storage = useStudio((state) => state.storage);
  if (storage === null || storage.quotaBytes === 0) return null;
  const share = storage.usageBytes / storage.quotaBytes;
  return (
    <div className="storage">
      <HardDrive size={15} aria-hidden="true" />
      <span>
        {formatBytes(storage.usageBytes)} used of {formatBytes(storage.quotaBytes)} that this browser grants
        {!storage.persisted && ' · may be cleared when the disk runs full'}
      </span>
      <ProgressBar label="Storage in use" value={share} />
    </div>
  );
}

export function ModelRoom() {
  const models = useStudio((state) => state.models);
  const modelError = useStudio((state) => state.modelError);
  const interrupted = useStudio((state) => state.interruptedModelId);
  const downloading = useStudio((state) => state.download !== null);
  const selectedModelId = useStudio((state) => state.selectedModelId);
  const hasDownloads = useStudio((state) => state.models.some(({ isBuiltIn }) => !isBuiltIn));
  const isFirstVisit = useStudio(
    (state) => state.modelsLoaded && !hasDownloads && state.runs.length === 0 && state.download === null,
  );
  const modelDownloadRequested = useStudio((state) => state.modelDownloadRequested);
  const roomOpened = useStudio((state) => state.roomOpened);
  return (
    <main className="page">
      <div className="page-body">
        <div className="hero">
          {isFirstVisit && <NoiseArt />}
          <h1>Teach a model your own look</h1>
          <p>
            Pick a base model, drop in your images, and train a LoRA
            <Info term="lora" label="a LoRA" /> on the graphics card in front of you.
          </p>
          <ul className="promises">
            {promises.map(({ icon: Icon, text }) => (
              <li key={text}>
                <Icon size={14} aria-hidden="true" /> {text}
              </li>
            ))}
          </ul>
        </div>
        <DownloadCard />
        {modelError !== null && (
          <ErrorNote error={modelError}>
            {interrupted !== null && !downloading && (
              <button
                type="button"
                className="button button-small"
                onClick={() => void modelDownloadRequested(interrupted)}
              >
                Resume {interrupted}
              </button>
            )}
          </ErrorNote>
        )}
        {modelError === null && interrupted !== null && !downloading && (
          <div className="card note-row">
            <span>The download of {interrupted} was interrupted. What arrived is kept.</span>
            <button
              type="button"
              className="button button-small"
              onClick={() => void modelDownloadRequested(interrupted)}
            >
              Resume download
            </button>
          </div>
        )}
        <div className="choices">
          <DemoCard />
          <CuratedCard />
          <HubCard />
        </div>
        {hasDownloads && (
          <section className="card stored-card" aria-label="Stored models">
            <div className="card-head">
              <h3>In this browser</h3>
              <span className="card-note">{plural(models.length, 'model')}</span>
            </div>
            <ul className="stored-list">
              {models.map((model) => (
                <StoredRow key={model.id} model={model} />
              ))}
            </ul>
            <StorageBar />
          </section>
        )}
        {selectedModelId !== null && (
          <div className="page-next">
            <button
              type="button"
              className={isFirstVisit ? 'button button-large' : 'button button-primary button-large'}
              onClick={() => roomOpened('images')}
            >
              Continue to images <ArrowRight size={15} aria-hidden="true" />
            </button>
          </div>
        )}
      </div>
    </main>
  );
}
