import { Shrink } from 'lucide-react';
import { useState } from 'react';
import { isReport, type ToolLora } from '../../../store/loraTools.ts';
import { explainNumber } from '../../../store/trainForm.ts';
import { TextField } from '../../components/Field.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { CombineDialog } from './CombineDialog.tsx';

/** Brings a LoRA to a lower rank by singular values, and shows what that costs before it is saved. */
export function ResizeDialog({ lora, onClose }: { readonly lora: ToolLora; readonly onClose: () => void }) {
  const report = useStudio((state) => state.toolReports[lora.key]);
  const resized = useStudio((state) => state.loraResized);
  const most = report !== undefined && isReport(report) ? Math.max(1, ...report.description.ranks) : 128;
  const [rank, setRank] = useState(String(Math.max(1, Math.floor(most / 2))));
  const problem = explainNumber(rank, { label: 'Rank', min: 1, max: 1024, integer: true });
  return (
    <CombineDialog
      title={`Resize “${lora.name}”`}
      detail={`Keeps the strongest directions of every layer (its singular values). It has rank ${most} now.`}
      action={{ label: 'Resize', icon: Shrink }}
      wish={rank}
      ready={problem === null}
      work={(write) => resized(lora.input, Number(rank), write)}
      onClose={onClose}
    >
      <TextField
        label="New rank"
        term="rank"
        value={rank}
        error={problem ?? undefined}
        inputMode="numeric"
        onChange={setRank}
      />
    </CombineDialog>
  );
}
