/**
 * A run for another machine: a folder with the images, their captions in both trainers' forms, kohya's config and dataset files, ready commands
 * for kohya's and for diffusers' trainer, the recipe, and a README that says what has no counterpart there.
 */
import type { TrainOptions } from '../core/trainOptions.ts';
import type { BakedFile } from './bake.ts';
import { type KohyaSubset, kohyaFileNames, type NotCarried, writeKohyaConfig } from '../formats/kohya/writeConfig.ts';
import { type DiffusersCommand, diffusersCommand } from './diffusersCommand.ts';

export interface JobImage {
  /** Without a folder; its ending says what it is. */
  readonly fileName: string;
  /** As it is trained with: the trigger word in front. */
  readonly caption: string;
  readonly repeats: number;
  readonly heldOut: boolean;
  /** Bytes, for the size of the whole. */
  readonly size: number;
  read(): Promise<Uint8Array<ArrayBuffer>>;
  readonly mask: { readonly size: number; read(): Promise<Uint8Array<ArrayBuffer>> } | null;
}

export interface Job {
  readonly name: string;
  readonly triggerWord: string;
  /** Hub id or `demo`. */
  readonly modelName: string;
  /** With steps, not epochs. */
  readonly options: TrainOptions;
  readonly images: readonly JobImage[];
  /** The recipe's JSON. */
  readonly recipe: string;
  /** Where the demo model is meant, that no Hub has: how to get it there. */
  readonly modelNote?: string;
}

/** All files of the job, paths below one folder named after the run. */
export function jobFiles(job: Job): BakedFile[] {
  const folder = `${safeName(job.name)}-job`;
  const placed = place(job);
  const subsets = subsetsOf(job, placed);
  const kohya = writeKohyaConfig({ ...job, subsets });
  const diffusers = diffusersCommand(job.modelName, job.options, 'dataset');
  const texts: readonly (readonly [string, string])[] = [
    ['README.md', readme(job, kohya, diffusers, placed)],
    ['train_kohya.sh', script(kohyaCommand)],
    ['train_diffusers.sh', script(diffusersLine(diffusers))],
    [kohyaFileNames.config, kohya.config],
    [kohyaFileNames.dataset, kohya.dataset],
    ...(kohya.prompts === '' ? [] : [[kohyaFileNames.prompts, `${kohya.prompts}\n`] as const]),
    ['recipe.json', job.recipe],
    ['dataset/metadata.jsonl', metadata(placed)],
    ...placed.map(({ path, caption }) => [path.replace(/\.[^.]*$/, '.txt'), `${caption}\n`] as const),
  ];
  return [
    ...texts.map(([path, text]) => textFile(`${folder}/${path}`, text)),
    ...placed.map(({ path, image }) => fileOf(`${folder}/${path}`, image)),
    ...placed.flatMap(({ maskPath, image: { mask } }) =>
      mask === null ? [] : [fileOf(`${folder}/${maskPath}`, mask)],
    ),
  ];
}

/** Read when its turn comes, so that only one lies in memory. */
function fileOf(path: string, file: { size: number; read(): Promise<Uint8Array<ArrayBuffer>> }): BakedFile {
  return {
    path,
    size: file.size,
    pieces: async function* pieces() {
      yield await file.read();
    },
  };
}

function textFile(path: string, text: string): BakedFile {
  const bytes = new TextEncoder().encode(text);
  return fileOf(path, { size: bytes.length, read: async () => bytes });
}

/** What every file system takes. */
export function safeName(name: string): string {
  const cleaned = name.replaceAll(/[^\p{L}\p{N}._ -]+/gu, '_').replaceAll(/^[.\s]+|[.\s]+$/g, '');
  return cleaned === '' ? 'lora' : cleaned;
}

interface Placed {
  readonly image: JobImage;
  /** `dataset/1_sks/cat.png`, or `held-out/cat.png`. */
  readonly path: string;
  readonly maskPath: string;
  readonly caption: string;
}

/** A folder for each number of repeats, which its name tells as kohya's folders do: `5_sks`. */
function folderOf(job: Pick<Job, 'name' | 'triggerWord'>, repeats: number): string {
  return `${repeats}_${safeName(job.triggerWord.trim() === '' ? job.name : job.triggerWord)}`;
}

/** Images of as many repeats lie in a folder; each stem is there once, as captions and masks find their image by it. */
function place(job: Job): Placed[] {
  const taken = new Set<string>();
  return job.images.map((image) => {
    const [, stem = 'image', ending = '.png'] = /^(.*?)(\.[^.]*)?$/s.exec(image.fileName) ?? [];
    const base = safeName(stem);
    let name = base;
    for (let n = 2; taken.has(name.toLowerCase()); n++) name = `${base}-${n}`;
    taken.add(name.toLowerCase());
    const folder = folderOf(job, image.repeats);
    return {
      image,
      path: `${image.heldOut ? 'held-out' : `dataset/${folder}`}/${name}${ending.toLowerCase()}`,
      maskPath: `${image.heldOut ? 'held-out-masks' : `masks/${folder}`}/${name}.png`,
      caption: image.caption.replaceAll(/\s+/g, ' ').trim(),
    };
  });
}

function subsetsOf(job: Job, placed: readonly Placed[]): KohyaSubset[] {
  const repeats = [...new Set(placed.filter(({ image }) => !image.heldOut).map(({ image }) => image.repeats))];
  return repeats
    .sort((a, b) => a - b)
    .map((count) => {
      const own = placed.filter(({ image }) => !image.heldOut && image.repeats === count);
      const hasMasks = own.some(({ image }) => image.mask !== null);
      return {
        imageFolder: `dataset/${folderOf(job, count)}`,
        repeats: count,
        ...(hasMasks ? { maskFolder: `masks/${folderOf(job, count)}` } : {}),
      };
    });
}

/** A line for each image, as the `imagefolder` of Hugging Face's datasets reads it. */
function metadata(placed: readonly Placed[]): string {
  return placed
    .filter(({ image }) => !image.heldOut)
    .map(({ path, caption }) => `${JSON.stringify({ file_name: path.replace(/^dataset\//, ''), text: caption })}\n`)
    .join('');
}

const kohyaCommand = `accelerate launch "\${SD_SCRIPTS:-sd-scripts}/train_network.py" --config_file ${kohyaFileNames.config}`;

/** For a POSIX shell. */
function quoted(value: string | number): string {
  const text = String(value);
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function diffusersLine({ args }: DiffusersCommand): string {
  const lines = args.map(([name, value]) => (value === undefined ? name : `${name} ${quoted(value)}`));
  const program = '"${DIFFUSERS:-diffusers}/examples/text_to_image/train_text_to_image_lora.py"';
  return [`accelerate launch --mixed_precision fp16 ${program}`, ...lines].join(' \\\n  ');
}

function script(command: string): string {
  return `#!/bin/sh\n# Run it in this folder.\nset -e\ncd "$(dirname "$0")"\n${command}\n`;
}

function lostList(notCarried: readonly NotCarried[]): string {
  if (notCarried.length === 0) return 'Every option that is in use here is carried over.\n';
  return `Not carried over:\n\n${notCarried.map(({ option, why }) => `- **${option}**: ${why}\n`).join('')}`;
}

function readme(
  job: Job,
  kohya: ReturnType<typeof writeKohyaConfig>,
  diffusers: DiffusersCommand,
  placed: readonly Placed[],
): string {
  const heldOut = placed.filter(({ image }) => image.heldOut).length;
  const trained = placed.length - heldOut;
  const heldOutNote =
    heldOut === 0
      ? ''
      : `\n${heldOut} more in \`held-out/\` are kept for validation; neither trainer reads that folder.\n`;
  const diffusersLost: readonly NotCarried[] = [
    ...diffusers.notCarried,
    ...(new Set(placed.map(({ image }) => image.repeats)).size > 1
      ? [{ option: 'Repeats of single images', why: 'It shows each image once an epoch.' }]
      : []),
  ];
  return `# ${job.name}

A LoRA training prepared by Loratory: ${trained} images in \`dataset/\`, ${job.options.maxTrainSteps} steps on \`${job.modelName}\`.
${heldOutNote}${job.modelNote === undefined ? '' : `\n${job.modelNote}\n`}
Either of the two commands below trains it; run \`accelerate config\` once before, and say there how many GPUs to use. With N GPUs, N
batches are trained in each step: divide the steps, or the batch size, if it is to be the same run. The numbers that chance draws are
other ones than in the browser, so the result is alike and not the same.

## kohya's sd-scripts

In a copy of https://github.com/kohya-ss/sd-scripts, set up as its README says${kohya.needsLycoris ? ', with `pip install lycoris-lora` (which knows layers that its own networks cannot leave out)' : ''}:

\`\`\`sh
SD_SCRIPTS=/path/to/sd-scripts sh train_kohya.sh
\`\`\`

It runs \`accelerate launch train_network.py --config_file ${kohyaFileNames.config}\`. The LoRA is written to \`output/\`.

${lostList(kohya.notCarried)}
## diffusers

In a copy of https://github.com/huggingface/diffusers, with \`pip install -r examples/text_to_image/requirements.txt peft\`:

\`\`\`sh
DIFFUSERS=/path/to/diffusers sh train_diffusers.sh
\`\`\`

It runs \`accelerate launch train_text_to_image_lora.py\` with the arguments in that file. The LoRA is
\`output/pytorch_lora_weights.safetensors\`.

${lostList(diffusersLost)}
## Back into Loratory

Drop the \`.safetensors\` file that either of them writes into Loratory’s Try room, or into its Export room to look into it. \`recipe.json\` replays the run in
Loratory itself.
`;
}
