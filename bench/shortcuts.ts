/**
 * The shortcuts part: what guidance in a part of the walk and reused depth save of the UNet's work, and what they do to pictures. The demo
 * model draws the same prompts and seeds in full and by each shortcut; PSNR and SSIM compare each picture with the full one.
 */
import { fileURLToPath } from 'node:url';
import { folderTree } from '../src/cli/nodeFiles.ts';
import { demoModel } from '../src/core/demoModel.ts';
import type { RgbImage } from '../src/core/image.ts';
import { guidanceScaleFor } from '../src/core/presets.ts';
import { SHALLOW_SHARES, workShare, type Shortcuts } from '../src/core/shortcuts.ts';
import { psnr, ssim } from '../src/evaluation/imageMetrics.ts';
import { runtime } from '../src/gpu/runtime.ts';
import { openDiffusionModel } from '../src/models/repository.ts';
import type { UNet2DCondition } from '../src/models/unet.ts';
import { ImageGenerator } from '../src/session/generation.ts';
import type { DispatchCounts } from './dispatchCounts.ts';
import { formatTable } from './table.ts';

const demoFolder = fileURLToPath(new URL('../public/models/demo', import.meta.url));
const prompts = ['a cat face', 'a red apple', 'a house with a garden', 'a blue fish', 'a sunflower'];

const cases: readonly (readonly [name: string, shortcuts: Shortcuts])[] = [
  ['in full', {}],
  ['guidance 0 to 0.6', { guidanceEnd: 0.6 }],
  ['guidance 0.2 to 1', { guidanceStart: 0.2 }],
  ['reuse 2', { reuseInterval: 2 }],
  ['reuse 3', { reuseInterval: 3 }],
  ['reuse 5', { reuseInterval: 5 }],
  ['guidance 0 to 0.6, reuse 3', { guidanceEnd: 0.6, reuseInterval: 3 }],
];

export interface ShortcutReport {
  readonly name: string;
  /** Of the UNet's floating-point operations in full: as counted, and as core/shortcuts.ts says before drawing. */
  readonly share: number;
  readonly foretold: number;
  /** The UNet's dispatches for a picture. */
  readonly dispatches: number;
  /** Means over the pictures; null for the full ones. */
  readonly likeness: { readonly psnr: number; readonly ssim: number; readonly worstSsim: number } | null;
}

export async function benchShortcuts(
  dispatches: DispatchCounts,
  steps: number,
  onCase: (name: string) => void,
): Promise<ShortcutReport[]> {
  const model = await openDiffusionModel(await folderTree(demoFolder));
  const unet = await model.loadUNet();
  const work = countWork(unet, dispatches);
  const generator = new ImageGenerator(model, { unet });
  const guidanceScale = guidanceScaleFor(demoModel.id);
  const draw = (shortcuts: Shortcuts, i: number): Promise<RgbImage> =>
    generator.generate({
      ...shortcuts,
      prompt: prompts[i]!,
      negativePrompt: '',
      seed: 42 + i,
      numInferenceSteps: steps,
      guidanceScale,
      width: 64,
      height: 64,
      scheduler: 'ddim',
      loras: [],
    });
  const reports: ShortcutReport[] = [];
  const full: RgbImage[] = [];
  let fullFlop = 0;
  for (const [name, shortcuts] of cases) {
    onCase(name);
    work.reset();
    const pictures: RgbImage[] = [];
    for (const i of prompts.keys()) pictures.push(await draw(shortcuts, i));
    if (full.length === 0) {
      full.push(...pictures);
      fullFlop = work.flop();
    }
    const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    const structure = pictures.map((picture, i) => ssim(picture, full[i]!, 'gaussian'));
    reports.push({
      name,
      share: work.flop() / fullFlop,
      foretold: workShare({ ...shortcuts, calls: steps, guidanceScale }, SHALLOW_SHARES.demo),
      dispatches: work.dispatches() / prompts.length,
      likeness:
        reports.length === 0
          ? null
          : {
              psnr: mean(pictures.map((picture, i) => psnr(picture, full[i]!))),
              ssim: mean(structure),
              worstSsim: Math.min(...structure),
            },
    });
  }
  generator.dispose();
  unet.dispose();
  return reports;
}

/** Counts what the UNet's calls take, and nothing else. */
function countWork(
  unet: UNet2DCondition,
  counts: DispatchCounts,
): { flop(): number; dispatches(): number; reset(): void } {
  let [flop, dispatches] = [0, 0];
  const counted =
    <A extends unknown[], R>(call: (...args: A) => R): ((...args: A) => R) =>
    (...args) => {
      const before = [runtime().counters.flop, counts.total] as const;
      const result = call(...args);
      flop += runtime().counters.flop - before[0];
      dispatches += counts.total - before[1];
      return result;
    };
  unet.forward = counted(unet.forward.bind(unet));
  unet.forwardKeeping = counted(unet.forwardKeeping.bind(unet));
  unet.forwardShallow = counted(unet.forwardShallow.bind(unet));
  return {
    flop: () => flop,
    dispatches: () => dispatches,
    reset: () => {
      [flop, dispatches] = [0, 0];
    },
  };
}

export function shortcutTable(reports: readonly ShortcutReport[]): string {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  return formatTable(
    ['demo model', 'UNet work', 'foretold', 'dispatches', 'PSNR, dB', 'SSIM', 'worst SSIM'],
    reports.map(({ name, share, foretold, dispatches, likeness }) => [
      name,
      percent(share),
      percent(foretold),
      dispatches.toFixed(0),
      likeness?.psnr.toFixed(1) ?? '',
      likeness?.ssim.toFixed(3) ?? '',
      likeness?.worstSsim.toFixed(3) ?? '',
    ]),
  );
}
