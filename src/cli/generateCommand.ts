/** `loratory generate`: pictures from a prompt, with any number of LoRAs, alone, as a grid, or as an X/Y/Z plot. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import type { Command } from 'commander';
import type { RgbImage } from '../core/image.ts';
import { planPlot } from '../core/plot.ts';
import { gridColumns } from '../core/plotLayout.ts';
import { guidanceScaleFor } from '../core/presets.ts';
import { decodeImageFile } from '../dataset/accept.ts';
import { encodePng } from '../formats/png.ts';
import { formatParameters } from '../formats/pngParameters.ts';
import { ImageGenerator, type DrawnPicture, type StepProgress } from '../session/generation.ts';
import type { GenerationRequest, InitPicture } from '../session/generationRequest.ts';
import { pictureParameters } from '../session/parameters.ts';
import { runCommand } from './exit.ts';
import { generateOptions, type GenerateFlags } from './generateFlags.ts';
import { labelledGrid } from './labelledGrid.ts';
import { fileSource } from './nodeFiles.ts';
import { openNodeGpu } from './nodeGpu.ts';
import { decodeInNode } from './decodeImage.ts';
import { imageSizeOf, openModel } from './openModel.ts';
import { drawPlot, openPlotLoras, plotContext, type NamedRequest } from './plot.ts';
import { Progress } from './progress.ts';
import { openEmbeddings, openLoras, taggedLoras } from './promptFiles.ts';
import { schedulerOptionsOf } from './schedulerOptions.ts';

export function generateCommand(): Command {
  return generateOptions().action((flags: GenerateFlags) => runCommand(() => generate(flags)));
}

async function generate(flags: GenerateFlags): Promise<number> {
  const model = await openModel(flags.model);
  const tagged = flags.syntax === 'plain' ? [] : taggedLoras(flags.prompt, flags.loraDir);
  const options = [...flags.lora, ...tagged];
  const loras = await openLoras(options, model);
  const request: NamedRequest = {
    prompt: flags.prompt,
    negativePrompt: flags.negative,
    syntax: flags.syntax,
    clipSkip: flags.clipSkip,
    seed: flags.seed,
    seedMode: flags.seeds,
    batchSize: flags.batch,
    batchCount: flags.count,
    numInferenceSteps: flags.steps,
    guidanceScale: flags.guidance ?? guidanceScaleFor(flags.model),
    guidanceStart: flags.guidanceStart,
    guidanceEnd: flags.guidanceEnd,
    reuseInterval: flags.reuseInterval,
    width: flags.width ?? imageSizeOf(model),
    height: flags.height ?? imageSizeOf(model),
    scheduler: flags.scheduler.name,
    schedulerOptions: schedulerOptionsOf(flags),
    noiseDevice: flags.noise,
    vaeTiling: flags.vaeTiling,
    mixedPrecision: flags.mixedPrecision,
    embeddings: await openEmbeddings(flags.embedding, model),
    loras,
    ...(flags.initImage === undefined ? {} : { init: await initOf(flags, flags.initImage) }),
    ...(flags.hires === undefined ? {} : { hires: hiresOf(flags, flags.hires) }),
  };
  const axes = [flags.x, flags.y, flags.z].filter((axis) => axis !== undefined);
  // Read and planned before anything is loaded: what cannot be drawn is refused at once.
  const files = options.map(({ path }) => path);
  const plot = axes.length === 0 ? null : planPlot(request, axes, plotContext(await openPlotLoras(axes, files, model)));
  await mkdir(dirname(flags.out), { recursive: true });
  const progress = new Progress();
  const { close } = await openNodeGpu();
  const generator = new ImageGenerator(model);
  const ctrlC = new CtrlC();
  const preview = flags.preview === undefined ? null : new PreviewFile(flags.preview);
  const draw = (asked: NamedRequest, onPicture: (picture: DrawnPicture) => void): Promise<DrawnPicture[]> => {
    let started = false;
    return generator.draw(asked, {
      onStatus: (detail) => progress.say(detail),
      onStep: async (step) => {
        if (!started) progress.start(1000, 'Drawing {bar} {percentage}% | {eta} s left');
        started = true;
        progress.update(Math.round(step.fraction * 1000));
        await preview?.write(step);
      },
      onPicture,
      interrupted: () => ctrlC.pressed,
    });
  };
  const parametersOf = (asked: NamedRequest, { seed, index }: Pick<DrawnPicture, 'seed' | 'index'>) => {
    const used = asked.loras.flatMap(({ hash, ...lora }) => (hash === null ? [] : [{ ...lora, hash }]));
    const batchPosition = index % flags.batch;
    return pictureParameters({ ...asked, seed }, { modelName: model.name, loras: used, batchPosition });
  };
  try {
    if (plot) {
      const image = await drawPlot(plot, draw, () => ctrlC.pressed);
      const parameters = parametersOf(request, { seed: request.seed, index: 0 });
      await writePng(flags.out, image.picture, {
        ...parameters,
        settings: [...parameters.settings, ...image.settings],
      });
      return ctrlC.exitCode;
    }
    const count = flags.batch * flags.count;
    const writing: Promise<void>[] = [];
    const drawn = await draw(request, (picture) => {
      const out = count === 1 ? flags.out : numbered(flags.out, picture.index, count);
      const written = writePng(out, picture.image, parametersOf(request, picture));
      // Heard of when all is drawn: what fails now must not end the process.
      written.catch(() => undefined);
      writing.push(written);
    });
    await Promise.all(writing);
    if (flags.grid) {
      const first = parametersOf(request, { seed: request.seed, index: 0 });
      await writePng(withSuffix(flags.out, 'grid'), await seedGrid(drawn), first);
    }
    return ctrlC.exitCode;
  } finally {
    ctrlC.dispose();
    generator.dispose();
    progress.stop();
    close();
  }
}

async function initOf(flags: GenerateFlags, path: string): Promise<InitPicture> {
  return {
    image: await openPicture(path),
    strength: flags.strength,
    resizeMode: flags.resizeMode,
    ...(flags.mask === undefined ? {} : { mask: await openPicture(flags.mask) }),
    maskBlur: flags.maskBlur,
  };
}

async function openPicture(path: string): Promise<RgbImage> {
  const source = await fileSource(path);
  return decodeImageFile(new Blob([await source.read(0, source.size)]), source.name, decodeInNode);
}

function hiresOf(flags: GenerateFlags, scale: number): NonNullable<GenerationRequest['hires']> {
  return {
    scale,
    steps: flags.hiresSteps,
    strength: flags.hiresStrength,
    upscaler: flags.hiresUpscaler,
  };
}

/** All pictures, each with its seed below it. */
async function seedGrid(pictures: readonly DrawnPicture[]): Promise<RgbImage> {
  const [{ width, height }] = pictures.map(({ image }) => image) as [RgbImage];
  const columns = gridColumns(pictures.length, width, height);
  const rows = Math.ceil(pictures.length / columns);
  const captions = pictures.map(({ seed }) => `Seed: ${seed}`);
  return labelledGrid(
    { columns, rows, planes: 1, cellWidth: width, cellHeight: height, captions },
    pictures.map(({ image }) => image),
  );
}

async function writePng(
  path: string,
  image: RgbImage,
  parameters: Parameters<typeof formatParameters>[0],
): Promise<void> {
  await writeFile(path, encodePng(image, { parameters: formatParameters(parameters) }));
  process.stdout.write(`${path}\n`);
}

/** `house.png` to `house-007.png`, with as many digits as the last one needs. */
function numbered(path: string, index: number, count: number): string {
  return withSuffix(path, String(index).padStart(String(count - 1).length, '0'));
}

function withSuffix(path: string, suffix: string): string {
  const extension = extname(path);
  return join(dirname(path), `${basename(path, extension)}-${suffix}${extension}`);
}

/** The first Ctrl-C ends the drawing after its step and keeps what there is; the second ends the process. */
class CtrlC {
  pressed = false;
  private readonly onPress = (): void => {
    this.pressed = true;
    process.stderr.write('\nStopping after this step; press Ctrl-C again to stop at once.\n');
  };

  constructor() {
    process.once('SIGINT', this.onPress);
  }

  get exitCode(): number {
    return this.pressed ? 130 : 0;
  }

  dispose(): void {
    process.off('SIGINT', this.onPress);
  }
}

/** Writes previews, once a second at most; whoever looks at the file never sees half of one. */
class PreviewFile {
  private notBefore = 0;

  constructor(private readonly path: string) {}

  async write({ preview }: StepProgress): Promise<void> {
    const started = performance.now();
    if (started < this.notBefore) return;
    const [first] = await preview('auto');
    if (!first) return;
    await writeFile(`${this.path}.part`, encodePng(first));
    await rename(`${this.path}.part`, this.path);
    this.notBefore = started + Math.max(1000, 10 * (performance.now() - started));
  }
}
