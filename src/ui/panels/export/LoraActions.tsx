import { CakeSlice, Combine, Download, Ellipsis, Shrink } from 'lucide-react';
import { DropdownMenu } from 'radix-ui';
import { useEffect, useState } from 'react';
import { isReport, type ToolLora } from '../../../store/loraTools.ts';
import { useStudio } from '../../StudioContext.tsx';
import { BakeDialog } from './BakeDialog.tsx';
import { ExportDialog } from './ExportDialog.tsx';
import { MergeDialog } from './MergeDialog.tsx';
import { ResizeDialog } from './ResizeDialog.tsx';

type Tool = 'export' | 'resize' | 'merge' | 'bake';

/** What can be made of a LoRA. */
export function LoraActions({ lora }: { readonly lora: ToolLora }) {
  const [open, setOpen] = useState<Tool | null>(null);
  const report = useStudio((state) => state.toolReports[lora.key]);
  const needed = useStudio((state) => state.toolReportNeeded);
  useEffect(() => void needed(lora), [lora, needed]);
  const readable = report !== undefined && isReport(report) && report.description.problem === null;
  const close = (): void => setOpen(null);
  return (
    <>
      <DropdownMenu.Root modal={false}>
        <DropdownMenu.Trigger asChild>
          <button type="button" className="button" disabled={!readable}>
            <Ellipsis size={15} aria-hidden="true" /> Tools
          </button>
        </DropdownMenu.Trigger>
        <DropdownMenu.Portal>
          <DropdownMenu.Content className="menu" align="end" sideOffset={6}>
            <DropdownMenu.Item className="menu-item" onSelect={() => setOpen('resize')}>
              <Shrink size={14} aria-hidden="true" /> Resize… <span>to a lower rank</span>
            </DropdownMenu.Item>
            <DropdownMenu.Item className="menu-item" onSelect={() => setOpen('merge')}>
              <Combine size={14} aria-hidden="true" /> Merge… <span>several into one</span>
            </DropdownMenu.Item>
            <DropdownMenu.Item className="menu-item" onSelect={() => setOpen('bake')}>
              <CakeSlice size={14} aria-hidden="true" /> Bake… <span>into a whole model</span>
            </DropdownMenu.Item>
          </DropdownMenu.Content>
        </DropdownMenu.Portal>
      </DropdownMenu.Root>
      <button type="button" className="button button-primary" disabled={!readable} onClick={() => setOpen('export')}>
        <Download size={14} aria-hidden="true" /> Export
      </button>
      {open === 'export' && <ExportDialog lora={lora} onClose={close} />}
      {open === 'resize' && <ResizeDialog lora={lora} onClose={close} />}
      {open === 'merge' && <MergeDialog lora={lora} onClose={close} />}
      {open === 'bake' && <BakeDialog lora={lora} onClose={close} />}
    </>
  );
}
