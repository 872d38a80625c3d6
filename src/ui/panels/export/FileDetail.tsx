import { FolderPlus, Trash2, Wand, X } from 'lucide-react';
import type { ToolLora } from '../../../store/loraTools.ts';
import { useStudio } from '../../StudioContext.tsx';
import { LoraActions } from './LoraActions.tsx';
import { LoraReportOf } from './LoraReportOf.tsx';

/** A file of the library, or one that was dropped in to be looked at. */
export function FileDetail({ lora }: { readonly lora: ToolLora }) {
  const removed = useStudio((state) => state.libraryLoraRemoved);
  const closed = useStudio((state) => state.droppedLoraClosed);
  const added = useStudio((state) => state.loraFilesDropped);
  const plugged = useStudio((state) => state.loraPlugged);
  const roomOpened = useStudio((state) => state.roomOpened);
  const { input, name } = lora;
  return (
    <div className="live">
      <div className="live-top">
        <div className="run-title">
          <h1 className="file-name">{name}</h1>
          <p className="run-sub">
            {input.kind === 'dropped'
              ? 'Looked at, not kept: it is gone when you close the page.'
              : 'In the library of this browser.'}
          </p>
        </div>
        <div className="run-controls">
          {input.kind === 'dropped' ? (
            <>
              <button type="button" className="button" onClick={() => closed(lora.key.replace(/^dropped /, ''))}>
                <X size={14} aria-hidden="true" /> Close
              </button>
              <button type="button" className="button" onClick={() => void added([input.file])}>
                <FolderPlus size={14} aria-hidden="true" /> Keep and try
              </button>
            </>
          ) : (
            input.kind === 'file' && (
              <>
                <button type="button" className="button button-danger-quiet" onClick={() => void removed(input.loraId)}>
                  <Trash2 size={14} aria-hidden="true" /> Remove
                </button>
                <button
                  type="button"
                  className="button"
                  onClick={() => {
                    plugged(input);
                    roomOpened('try');
                  }}
                >
                  <Wand size={14} aria-hidden="true" /> Try it
                </button>
              </>
            )
          )}
          <LoraActions lora={lora} />
        </div>
      </div>
      <LoraReportOf lora={lora} />
    </div>
  );
}
