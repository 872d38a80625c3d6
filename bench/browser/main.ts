/** The bench in a page: open it in any browser, or let run.mjs drive Chromium. What it measures is put on the page and on `window`. */
import { describeGpu, openBenchGpu } from '../gpu.ts';
import { benchHot, ceilingsLine, hotTable, type HotReport } from '../hot.ts';
import type { Comparison } from '../compare.ts';
import { benchModel, modelTable, type ModelReport } from '../model.ts';
import { benchKernels, kernelTable } from '../kernels.ts';

/** What run.mjs waits for and writes as JSON. */
export interface BrowserReport {
  readonly gpu: string;
  readonly userAgent: string;
  readonly scale: number;
  hot?: HotReport;
  model?: ModelReport;
  kernels?: Comparison[];
}

declare global {
  interface Window {
    benchReport?: BrowserReport;
    benchError?: string;
  }
}

const show = (id: string, text: string): void => {
  document.querySelector(`#${id}`)!.textContent = text;
};

async function bench(query: URLSearchParams): Promise<void> {
  const gpu = await openBenchGpu(navigator.gpu);
  const software = gpu.runtime.opened.isSoftware;
  const scale = Number(query.get('scale') ?? (software ? 0.375 : 1));
  const parts = (query.get('parts') ?? 'hot,model,kernels').split(',');
  const report: BrowserReport = { gpu: describeGpu(gpu.runtime), userAgent: navigator.userAgent, scale };
  const options = { scale, only: query.get('only') ?? '', onCase: (name: string) => show('state', name) };
  let text = report.gpu;
  if (parts.includes('hot')) {
    report.hot = await benchHot(gpu, options);
    text += `\n\n${ceilingsLine(report.hot.ceilings)}\n${hotTable(report.hot)}`;
    show('report', text);
  }
  if (parts.includes('model')) {
    report.model = await benchModel(gpu, { ...options, scale: Number(query.get('scale') ?? (software ? 0.125 : 1)) });
    text += `\n\n${ceilingsLine(report.model.ceilings)}\n${modelTable(report.model)}`;
    show('report', text);
  }
  if (parts.includes('kernels')) {
    report.kernels = await benchKernels(options);
    text += `\n\n${kernelTable(report.kernels)}`;
  }
  show('report', text);
  show('state', 'Done');
  window.benchReport = report;
}

bench(new URLSearchParams(location.search)).catch((error: unknown) => {
  window.benchError = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  show('state', window.benchError);
});
