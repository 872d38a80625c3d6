import { useEffect } from 'react';
import { isReport, type ToolLora } from '../../../store/loraTools.ts';
import { ErrorNote } from '../../components/ErrorNote.tsx';
import { ProgressBar } from '../../components/ProgressBar.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { LoraReportView } from './LoraReportView.tsx';

/** Reads a LoRA's file and shows what it says, or why it cannot be read. */
export function LoraReportOf({ lora }: { readonly lora: ToolLora }) {
  const report = useStudio((state) => state.toolReports[lora.key]);
  const needed = useStudio((state) => state.toolReportNeeded);
  useEffect(() => void needed(lora), [lora, needed]);
  if (report === undefined) return <ProgressBar label="Reading the file" value={null} />;
  return isReport(report) ? <LoraReportView report={report} /> : <ErrorNote error={report} />;
}
