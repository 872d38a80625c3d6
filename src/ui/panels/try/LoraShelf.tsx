import { Plus } from 'lucide-react';
import { useEffect, useState } from 'react';
import { useDropzone } from 'react-dropzone';
import { useShallow } from 'zustand/react/shallow';
import { loraName } from '../../../store/shelf.ts';
import { Info } from '../../components/Info.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { AddLora } from './AddLora.tsx';
import { LoraCard } from './LoraCard.tsx';

/** The LoRAs that are plugged in, each with its weight; more by the button, or by dropping files here. */
export function LoraShelf() {
  const shelf = useStudio(useShallow((state) => state.shelf.filter(({ source }) => loraName(state, source) !== null)));
  const adding = useStudio((state) => state.addingLoras);
  const loraFilesDropped = useStudio((state) => state.loraFilesDropped);
  const libraryRefreshed = useStudio((state) => state.libraryRefreshed);
  const [open, setOpen] = useState(false);
  useEffect(() => void libraryRefreshed(), [libraryRefreshed]);
  const { getRootProps, isDragActive } = useDropzone({
    noClick: true,
    noKeyboard: true,
    onDrop: (files) => void loraFilesDropped(files),
  });
  return (
    <section {...getRootProps({ role: 'region', className: 'group shelf' })} aria-label="LoRA shelf">
      <div className="group-head">
        <h2>LoRAs</h2>
        <Info term="lora" label="a LoRA" />
        <button type="button" className="button button-small group-action" onClick={() => setOpen(true)}>
          <Plus size={14} aria-hidden="true" /> Add
        </button>
      </div>
      {shelf.length === 0 ? (
        <p className="shelf-empty">
          {adding ? 'Reading the file…' : 'The plain model. Add one of your runs, or drop a .safetensors file here.'}
        </p>
      ) : (
        <ul className="shelf-list">
          {shelf.map((lora) => (
            <LoraCard key={lora.key} lora={lora} />
          ))}
        </ul>
      )}
      {isDragActive && (
        <div className="prompt-veil" aria-hidden="true">
          Let go to plug it in
        </div>
      )}
      <AddLora open={open} onClose={() => setOpen(false)} />
    </section>
  );
}
