/**
 * `node tools/run.mjs latent-colours MODEL --images DIR [--crops N] [--out FILE]`: fits the map from a model's latents to colours that
 * previews are painted with where nothing better is there.
 *
 * Random square crops of the pictures (seeded, so that the same command gives the same file) go through the model's own encoder; each
 * latent pixel is held against the mean colour of the pixels that it stands for, by least squares. One crop in five is kept out, to say
 * how far the map is off. The file is `MODEL/vae/latent_colours.json`, from where the generator reads it.
 */
import { readdir, writeFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { Command } from 'commander';
import { runCommand } from '../../src/cli/exit.ts';
import { decodeInNode } from '../../src/cli/decodeImage.ts';
import { fileSource, FileNotFoundError } from '../../src/cli/nodeFiles.ts';
import { openNodeGpu } from '../../src/cli/nodeGpu.ts';
import { openModel } from '../../src/cli/openModel.ts';
import { whole } from '../../src/cli/options.ts';
import type { RgbImage } from '../../src/core/image.ts';
import { defined } from '../../src/core/invariant.ts';
import { TorchGenerator } from '../../src/core/rng.ts';
import { decodeImageFile } from '../../src/dataset/accept.ts';
import { cacheLatents, type CachedLatents } from '../../src/latents/cache.ts';
import { fitPreview } from '../../src/latents/preview.ts';
import { randomCrop, rmsError } from './crops.ts';

interface Flags {
  readonly images: string;
  readonly crops: number;
  readonly side?: number;
  readonly out?: string;
}

const program = new Command('latent-colours')
  .description("Fits the map from a model's latents to colours.")
  .argument('<model>', '`demo`, or the folder of a model')
  .requiredOption('--images <dir>', 'pictures such as the model draws')
  .option('--crops <n>', 'crops to fit to', whole, 200)
  .option(
    '--side <px>',
    'side of a crop; an eighth of what the model draws and at least eight latent pixels, if not given',
    whole,
  )
  .option('--out <file>', 'the JSON file; in the folder of the model, if not given')
  .action((model: string, flags: Flags) => runCommand(() => fit(model, flags)));

async function fit(folder: string, { images: imageFolder, crops, side: asked, out }: Flags): Promise<number> {
  const model = await openModel(folder);
  const paths = await picturePaths(imageFolder);
  if (paths.length === 0) throw new FileNotFoundError(imageFolder, 'picture');
  const unit = 2 ** (model.vaeConfig.blockOutChannels.length - 1);
  const side = asked ?? Math.max(8, model.unetConfig.sampleSize / 8) * unit;
  const { close } = await openNodeGpu();
  try {
    const vae = await model.loadVae({ encoder: true, decoder: false });
    const rng = new TorchGenerator(0);
    const pairs: { image: RgbImage; latents: CachedLatents }[] = [];
    for (let i = 0; i < crops; i++) {
      const path = defined(paths[i % paths.length]);
      const source = await fileSource(path);
      const file = new Blob([await source.read(0, source.size)]);
      const image = randomCrop(await decodeImageFile(file, basename(path), decodeInNode), side, rng);
      pairs.push({ image, latents: await cacheLatents(vae, image, { flip: false }) });
    }
    const { scalingFactor } = model.vaeConfig;
    const held = pairs.filter((_, i) => i % 5 === 4);
    const fitted = fitPreview(
      pairs.filter((_, i) => i % 5 !== 4),
      scalingFactor,
    );
    const error = rmsError(fitted, held.length > 0 ? held : pairs, scalingFactor);
    const target = out ?? join(folder === 'demo' ? 'public/models/demo' : folder, 'vae/latent_colours.json');
    const matrix = Array.from(fitted.matrix, (value) => Number(value.toPrecision(6)));
    await writeFile(target, `${JSON.stringify({ matrix, crops, rmsError: Number(error.toPrecision(3)) }, null, 2)}\n`);
    process.stdout.write(
      `${target}: off by ${error.toFixed(1)} of 255 (RMS) on ${held.length} crops that were kept out\n`,
    );
    return 0;
  } finally {
    close();
  }
}

async function picturePaths(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names
    .filter((name) => ['.png', '.jpg', '.jpeg', '.webp'].includes(extname(name).toLowerCase()))
    .sort()
    .map((name) => join(folder, name));
}

await program.parseAsync();
