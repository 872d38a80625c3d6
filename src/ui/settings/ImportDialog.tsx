import { Check, CircleAlert, FileUp } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { useDropzone } from 'react-dropzone';
import { plural, shortModelName } from '../../store/format.ts';
import type { Import } from '../../store/interchange.ts';
import type { KohyaImport, RecipeOffer } from '../../worker/protocol.ts';
import { ErrorNote } from '../components/ErrorNote.tsx';
import { Modal } from '../components/Modal.tsx';
import { useStudio } from '../StudioContext.tsx';

/** A place to drop or paste; what was read is shown before it changes anything. */
function Intake() {
  const filesChosen = useStudio((state) => state.importFilesChosen);
  const textGiven = useStudio((state) => state.importTextGiven);
  const [text, setText] = useState('');
  const { getRootProps, getInputProps, isDragActive } = useDropzone({
    onDrop: (files) => {
      if (files.length > 0) void filesChosen(files);
    },
  });
  return (
    <>
      <div {...getRootProps({ className: isDragActive ? 'intake intake-over' : 'intake' })}>
        <input {...getInputProps()} aria-label="Settings files" data-testid="settings-input" />
        <FileUp size={20} aria-hidden="true" />
        <p>
          Drop a recipe (<code>.json</code>), or kohya’s <code>config.toml</code> with its <code>dataset.toml</code> and
          prompts, or click to choose.
        </p>
      </div>
      <form
        className="stack-tight"
        onSubmit={(event) => {
          event.preventDefault();
          if (text.trim() !== '') void textGiven(text);
        }}
      >
        <textarea
          className="input intake-text"
          aria-label="Recipe, link or TOML"
          placeholder="… or paste it here: a recipe, a link to one, or TOML"
          rows={4}
          value={text}
          spellCheck={false}
          onChange={(event) => setText(event.target.value)}
        />
        <button type="submit" className="button intake-read" disabled={text.trim() === ''}>
          Read
        </button>
      </form>
    </>
  );
}

function Fact({ good, children }: { readonly good: boolean; readonly children: ReactNode }) {
  return (
    <li className={good ? 'fact fact-good' : 'fact'}>
      {good ? <Check size={15} aria-label="Fine" /> : <CircleAlert size={15} aria-label="Look here" />}
      <span>{children}</span>
    </li>
  );
}

const modelWords = {
  present: 'is here.',
  different: 'is here, but with other weights: the result will differ.',
  absent: 'is not here. Get it in the Model room, then open the recipe again.',
} as const;

function RecipePreview({ offer }: { readonly offer: RecipeOffer }) {
  const { recipe, images, model, notes } = offer;
  const { options } = recipe;
  const missing = recipe.images.filter((_, i) => images[i]?.id === null).map(({ fileName }) => fileName);
  const maskless = recipe.images.filter((_, i) => images[i]?.lacksMask === true).map(({ fileName }) => fileName);
  return (
    <>
      <p className="import-lead">
        <strong>{recipe.name}</strong>: {options.adapterKind === 'dora' ? 'DoRA' : 'LoRA'} of rank {options.rank},{' '}
        {options.maxTrainEpochs === null
          ? plural(options.maxTrainSteps, 'step')
          : plural(options.maxTrainEpochs, 'epoch')}
        , learning rate {options.learningRate.toExponential()}, seed {options.seed}
        {recipe.triggerWord === '' ? '' : `, trigger word “${recipe.triggerWord}”`}.
      </p>
      <ul className="facts">
        <Fact good={model === 'present'}>
          Model <strong>{shortModelName(recipe.model.id)}</strong> {modelWords[model]}
        </Fact>
        <Fact good={missing.length === 0}>
          {missing.length === 0
            ? `All ${plural(images.length, 'image')} are here.`
            : `${missing.length} of ${plural(images.length, 'image')} ${missing.length === 1 ? 'is' : 'are'} not here: ${missing.join(', ')}`}
        </Fact>
        {maskless.length > 0 && <Fact good={false}>Without the mask that it had: {maskless.join(', ')}</Fact>}
        {notes.map((note) => (
          <Fact key={note} good={false}>
            {note}
          </Fact>
        ))}
      </ul>
      <p className="field-hint">
        Made with {recipe.software.name} {recipe.software.version}. Taking it over replaces the settings, the trigger
        word and the captions of these images.
      </p>
    </>
  );
}

const kindWords = {
  'not understood': 'Not understood',
  'not supported': 'Not supported',
  changed: 'Taken over in another form',
  'passed over': 'Without meaning here',
} as const;

function KohyaPreview({ result }: { readonly result: KohyaImport }) {
  const { taken, notes, modelName, name } = result;
  const kinds = Object.keys(kindWords) as (keyof typeof kindWords)[];
  return (
    <>
      <p className="import-lead">
        {plural(taken, 'argument')} of {name === null ? 'the config' : <strong>{name}</strong>}{' '}
        {taken === 1 ? 'is' : 'are'} understood.
        {modelName !== null && (
          <>
            {' '}
            It was made for <code>{modelName}</code>; choose the model yourself.
          </>
        )}
      </p>
      {kinds.map((kind) => {
        const own = notes.filter((note) => note.kind === kind);
        return (
          own.length > 0 && (
            <details key={kind} className="notes" open={kind !== 'passed over'}>
              <summary>
                {kindWords[kind]} <span className="badge badge-plain">{own.length}</span>
              </summary>
              <ul>
                {own.map(({ argument, value, why }, i) => (
                  <li key={i}>
                    {argument !== '' && (
                      <code>
                        {argument}
                        {value === '' ? '' : ` = ${value}`}
                      </code>
                    )}
                    <span>{why}</span>
                  </li>
                ))}
              </ul>
            </details>
          )
        );
      })}
    </>
  );
}

function Preview({ importing }: { readonly importing: Import }) {
  return importing.kind === 'recipe' ? (
    <RecipePreview offer={importing.offer} />
  ) : (
    <KohyaPreview result={importing.result} />
  );
}

/** Settings from elsewhere: read first, then shown, then taken over if the person says so. */
export function ImportDialog() {
  const open = useStudio((state) => state.importOpen);
  const importing = useStudio((state) => state.importing);
  const error = useStudio((state) => state.importError);
  const closed = useStudio((state) => state.importClosed);
  const opened = useStudio((state) => state.importOpened);
  const accepted = useStudio((state) => state.importAccepted);
  return (
    <Modal
      open={open}
      onClose={closed}
      title={
        importing === null
          ? 'Import settings'
          : importing.kind === 'recipe'
            ? 'Replay this recipe?'
            : 'Use this config?'
      }
      {...(importing === null
        ? {}
        : {
            actions: (
              <>
                <button type="button" className="button" onClick={opened}>
                  Another one
                </button>
                <button type="button" className="button button-primary" onClick={() => void accepted()}>
                  Take over
                </button>
              </>
            ),
          })}
    >
      <div className="stack">
        {error !== null && <ErrorNote error={error} />}
        {importing === null ? <Intake /> : <Preview importing={importing} />}
      </div>
    </Modal>
  );
}
