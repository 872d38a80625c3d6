/** What every measurement needs: the model, the drawings at its size, where pictures go, and a report of how far it is. */
import { openAsBlob } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeInNode } from '../../src/cli/decodeImage.ts';
import { formatDuration, Progress } from '../../src/cli/progress.ts';
import type { RgbImage } from '../../src/core/image.ts';
import { encodePng } from '../../src/formats/png.ts';
import type { DiffusionModel } from '../../src/models/repository.ts';
import { ImageGenerator } from '../../src/session/generation.ts';
import { resolutionUnit } from '../../src/models/repository.ts';
import { draw } from './drawings.mjs';
import { over, styles } from './styles.mjs';

/** Sampling settings and seeds are the same for all measurements. */
export interface Sampling {
  readonly numInferenceSteps: number;
  readonly guidanceScale: number;
  readonly seed: number;
}

export class MeasureRun {
  private readonly progress = new Progress();
  private startedAt = 0;
  private saidAt = 0;

  constructor(
    readonly model: DiffusionModel,
    readonly out: string,
    readonly sampling: Sampling,
    /** Folder of pictures that draw.py has drawn; null: the studio's own engine draws. */
    readonly drawn: string | null,
  ) {}

  /** Pixels along each side of the model's pictures. */
  get side(): number {
    return this.model.unetConfig.sampleSize * resolutionUnit(this.model);
  }

  /** A drawing as the base model knows it: on white. */
  async plain(name: string): Promise<RgbImage> {
    return this.square(over(await draw(name, this.side), [255, 255, 255]));
  }

  /** A drawing in the style that the LoRA learns. */
  async styled(name: string): Promise<RgbImage> {
    return this.square(await styles['pixel-art'].render(name, this.side));
  }

  private square(rgb: Buffer): RgbImage {
    return { width: this.side, height: this.side, data: new Uint8Array(rgb) };
  }

  /** The pictures `0.png`, `1.png`, ... of a folder that draw.py wrote. */
  async read(folder: string, count: number): Promise<RgbImage[]> {
    const pictures: RgbImage[] = [];
    for (let i = 0; i < count; i++) {
      pictures.push(await decodeInNode(await openAsBlob(join(folder, `${i}.png`))));
    }
    return pictures;
  }

  /** One picture for each prompt by the base model, the i-th with the i-th seed. */
  async generate(what: string, row: string, prompts: readonly string[]): Promise<RgbImage[]> {
    if (this.drawn !== null) return this.read(join(this.drawn, row), prompts.length);
    const { seed, ...sampling } = this.sampling;
    const size = { width: this.side, height: this.side };
    const generator = new ImageGenerator(this.model);
    const pictures: RgbImage[] = [];
    this.begin(what, prompts.length);
    for (const [i, prompt] of prompts.entries()) {
      const noise = { seed: seed + i, scheduler: 'ddim' } as const;
      const request = { prompt, negativePrompt: '', loras: [], ...noise, ...size, ...sampling };
      pictures.push(await generator.generate(request));
      this.tick(what, pictures.length, prompts.length);
    }
    generator.dispose();
    return pictures;
  }

  async save(file: string, picture: RgbImage): Promise<void> {
    await writeFile(join(this.out, file), encodePng(picture));
  }

  say(line: string): void {
    this.progress.say(line);
  }

  begin(what: string, total: number): void {
    this.startedAt = Date.now();
    this.saidAt = 0;
    this.progress.start(total, `${what} {bar} {value}/{total} | {left} left`, { left: '-' });
  }

  /** `done` of `total` are done; on a terminal a bar moves, in a log a line comes every few seconds. */
  tick(what: string, done: number, total: number): void {
    const left = formatDuration((((Date.now() - this.startedAt) / done) * (total - done)) / 1000);
    this.progress.update(done, { left });
    if (done === total) this.progress.stop();
    if (done < total && Date.now() - this.saidAt < 5000) return;
    this.saidAt = Date.now();
    this.progress.say(`${what}: ${done}/${total}, ${left} left`);
  }
}
