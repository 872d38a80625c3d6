import { formatTable, megabytes } from './table.ts';
import type { PassReport, StepReport } from './trainingStep.ts';

/** One table for a forward pass and a training step; docs/benchmarks.md says what the rows mean. */
export function stepTable({ batchSize, latentSide, rank, weightBytes, forward, step }: StepReport): string {
  const row = (name: string, cell: (pass: PassReport) => string): string[] => [name, cell(forward), cell(step)];
  const table = formatTable(
    ['', 'forward', 'training step'],
    [
      row('dispatches', (pass) => String(pass.dispatches)),
      row('submits', (pass) => String(pass.submits)),
      row('bind groups made', (pass) => String(pass.bindGroups)),
      row('JavaScript ms', (pass) => pass.jsMs.toFixed(1)),
      row('wall ms', (pass) => pass.wallMs.toFixed(1)),
      row('GPU bytes, peak', (pass) => megabytes(pass.peakBytes)),
      row('GPU bytes, held afterwards', (pass) => megabytes(pass.heldBytes)),
      row('in use, peak', (pass) => megabytes(pass.peakLiveBytes)),
      row('in use afterwards', (pass) => megabytes(pass.liveBytes)),
    ],
  );
  return `${latentSide} x ${latentSide} latents, batch ${batchSize}, LoRA rank ${rank}; weights ${megabytes(weightBytes)}\n${table}`;
}

/** How often each kernel runs in a forward pass and in a training step. */
export function histogram({ forward, step }: StepReport): string {
  const inForward = new Map(forward.byKernel);
  return formatTable(
    ['kernel', 'forward', 'training step'],
    step.byKernel.map(([name, count]) => [name, String(inForward.get(name) ?? 0), String(count)]),
  );
}
