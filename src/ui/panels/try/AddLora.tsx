import { Check, Plus, Trash2 } from 'lucide-react';
import { Tabs } from 'radix-ui';
import type { ReactNode } from 'react';
import { useShallow } from 'zustand/react/shallow';
import { formatBytes, formatDate } from '../../../store/format.ts';
import { sourceKey } from '../../../store/shelf.ts';
import type { LibraryLora, LoraSource } from '../../../worker/protocol.ts';
import { DropLine } from '../../components/DropLine.tsx';
import { Modal } from '../../components/Modal.tsx';
import { TabSegments } from '../../components/TabSegments.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { Embeddings } from './Embeddings.tsx';
import { HubLoras } from './HubLoras.tsx';
import { LoraThumb } from './LoraCard.tsx';

interface LoraRowProps {
  readonly source: LoraSource;
  readonly name: string;
  readonly facts: string;
  readonly children?: ReactNode;
}

function LoraRow({ source, name, facts, children }: LoraRowProps) {
  const plugged = useStudio((state) => state.shelf.some((lora) => sourceKey(lora.source) === sourceKey(source)));
  const loraPlugged = useStudio((state) => state.loraPlugged);
  return (
    <li className="pick">
      <LoraThumb lora={{ source }} />
      <div className="lora-title">
        <strong title={name}>{name}</strong>
        <span>{facts}</span>
      </div>
      {children}
      <button
        type="button"
        className="button button-small"
        disabled={plugged}
        aria-label={plugged ? `${name} is on the shelf` : `Put ${name} on the shelf`}
        onClick={() => loraPlugged(source)}
      >
        {plugged ? <Check size={14} aria-hidden="true" /> : <Plus size={14} aria-hidden="true" />}
        {plugged ? 'On the shelf' : 'Add'}
      </button>
    </li>
  );
}

function Runs() {
  const runs = useStudio(
    useShallow((state) => state.runs.filter((run) => run.modelId === state.selectedModelId && run.globalStep > 0)),
  );
  if (runs.length === 0)
    return <p className="pick-none">No run of this model yet. Train one, and it appears here with all its steps.</p>;
  return (
    <ul className="picks">
      {runs.map((run) => (
        <LoraRow
          key={run.id}
          source={{ kind: 'run', runId: run.id }}
          name={run.name}
          facts={`${run.globalStep} steps · rank ${run.options.rank} · ${formatDate(run.startedAt)}`}
        />
      ))}
    </ul>
  );
}

function factsOf({ about, bytes, origin }: LibraryLora): string {
  const from = origin.kind === 'hub' ? ` · ${origin.repoId}` : '';
  return `${about.kinds.join(' + ')} · ${formatBytes(bytes)}${from}`;
}

function Files() {
  const library = useStudio((state) => state.library);
  const adding = useStudio((state) => state.addingLoras);
  const dropped = useStudio((state) => state.loraFilesDropped);
  const removed = useStudio((state) => state.libraryLoraRemoved);
  return (
    <>
      <DropLine label="Add LoRA files" testId="lora-input" onFiles={(files) => void dropped(files)}>
        {adding ? 'Reading…' : 'Drop .safetensors files here: kohya, diffusers, PEFT, LyCORIS, DoRA'}
      </DropLine>
      <ul className="picks">
        {library.map((lora) => (
          <LoraRow key={lora.id} source={{ kind: 'file', loraId: lora.id }} name={lora.name} facts={factsOf(lora)}>
            <button
              type="button"
              className="icon-button icon-button-small"
              aria-label={`Remove ${lora.name} from this browser`}
              onClick={() => void removed(lora.id)}
            >
              <Trash2 size={14} aria-hidden="true" />
            </button>
          </LoraRow>
        ))}
      </ul>
    </>
  );
}

const places = [
  ['runs', 'Your runs'],
  ['files', 'Files'],
  ['hub', 'Hub'],
  ['embeddings', 'Embeddings'],
] as const;

/** Where LoRAs come from: our runs, files, the Hub. */
export function AddLora({ open, onClose }: { readonly open: boolean; readonly onClose: () => void }) {
  return (
    <Modal open={open} onClose={onClose} title="Add a LoRA or an embedding">
      <Tabs.Root defaultValue="runs" className="tabs">
        <TabSegments label="Where it comes from" tabs={places} />
        <Tabs.Content value="runs" className="tab">
          <Runs />
        </Tabs.Content>
        <Tabs.Content value="files" className="tab">
          <Files />
        </Tabs.Content>
        <Tabs.Content value="hub" className="tab">
          <HubLoras />
        </Tabs.Content>
        <Tabs.Content value="embeddings" className="tab">
          <Embeddings />
        </Tabs.Content>
      </Tabs.Root>
    </Modal>
  );
}
