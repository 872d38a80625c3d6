/** `--model`: a folder, or `demo` for the model that comes with Loratory. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { demoModel } from '../core/demoModel.ts';
import { LoratoryError } from '../core/errors.ts';
import type { FileTree } from '../core/files.ts';
import { type DiffusionModel, openDiffusionModel } from '../models/repository.ts';
import { resolutionUnit } from '../models/repository.ts';
import { folderTree } from './nodeFiles.ts';

/** What `--model` says in every command's help. */
export const modelHelp = `folder of a Stable Diffusion 1.5 model in diffusers layout, or "${demoModel.id}" for the small one that comes along`;

/** This copy of Loratory has no demo model. */
export class DemoModelMissingError extends LoratoryError {
  readonly code = 'demo-model-missing';

  constructor(places: readonly string[]) {
    super(
      `The demo model is not there: looked in ${places.join(' and ')}.`,
      'Take a whole copy of Loratory, or name a folder with a model of your own (a folder called demo is ./demo).',
      { places },
    );
  }
}

/** The folder of the demo model: in the sources, else in what was built of them. `root` holds package.json. */
export function demoFolder(root = projectRoot()): string {
  const places = ['public', 'dist'].map((folder) => join(root, folder, 'models', demoModel.id));
  const found = places.find((place) => existsSync(join(place, 'model_index.json')));
  if (found === undefined) throw new DemoModelMissingError(places);
  return found;
}

/** The files of what `--model` names. Throws {@link DemoModelMissingError} or FileNotFoundError. */
export function modelTree(option: string): Promise<FileTree> {
  return option === demoModel.id ? folderTree(demoFolder(), demoModel.name) : folderTree(option);
}

/** Opens what `--model` names. Throws {@link DemoModelMissingError}, FileNotFoundError and what openDiffusionModel throws. */
export async function openModel(option: string): Promise<DiffusionModel> {
  return openDiffusionModel(await modelTree(option));
}

/** Side of the pictures that the model was trained on, in pixels: 512 for SD1.5. */
export function imageSizeOf(model: DiffusionModel): number {
  return model.unetConfig.sampleSize * resolutionUnit(model);
}

/** The nearest folder above this program with a package.json: it may run bundled or from its source. */
function projectRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  return folder;
}
