/** LoRA files as files: what is in one, and another made of them. Reads what the page names, asks export/, hands back Blobs. */
import { blobSource, bytesSource, readText } from '../core/files.ts';
import { type Steps, within } from '../core/steps.ts';
import { bakeFolder, bakeSingleFile, type BakeRequest } from '../export/bake.ts';
import { atWeights, combineSteps, type Combined, type Lora, type WeightedLora } from '../export/combine.ts';
import { describeLora } from '../export/describe.ts';
import { editedMetadata, keptMetadata, mergedMetadata, rankMetadata } from '../export/header.ts';
import { checkTools, type ToolVerdict } from '../export/toolCheck.ts';
import { zipPieces } from '../export/zip.ts';
import { readLora, type ReadLoraOptions } from '../formats/lora/readLora.ts';
import type { LoraFile } from '../formats/lora/types.ts';
import { writeLoraSteps } from '../formats/lora/writeLora.ts';
import { parsePythonJson } from '../formats/pythonJson.ts';
import { openSafetensors, type SafetensorsFile } from '../formats/safetensors.ts';
import { sd15ModuleNames, sd15Modules } from '../models/adaptable.ts';
import { openDiffusionModel } from '../models/repository.ts';
import { adaptableModules } from '../session/training.ts';
import { blobOf } from './blobOf.ts';
import { safeFileName } from './fileNames.ts';
import type { LoraSources } from './loraSources.ts';
import type { Models } from './models.ts';
import { letMessagesIn } from './pause.ts';
import type {
  BakeOptions,
  LoraCombined,
  LoraInput,
  LoraReport,
  LoraToolRequests,
  LoraWriteOptions,
  LoraWritten,
  WeightedLoraInput,
} from './protocol.ts';
import type { Handlers, RequestContext } from './server.ts';

/** Dropped files up to this many bytes are read at once: a read for each of a thousand tensors takes far longer. */
const readWhole = 256 << 20;

interface OpenedLora {
  readonly title: string;
  readonly bytes: number;
  readonly file: SafetensorsFile;
  readonly options: ReadLoraOptions;
}

export function loraToolHandlers(
  kept: Pick<LoraSources, 'bytes' | 'identify'>,
  models: Models,
): Pick<Handlers, keyof LoraToolRequests> {
  const open = async (input: LoraInput): Promise<OpenedLora> => {
    if (input.kind !== 'dropped') {
      const { name, fileName } = await kept.identify(input);
      const source = bytesSource(fileName, await kept.bytes(input));
      return { title: name, bytes: source.size, file: await openSafetensors(source), options: {} };
    }
    const { file, config } = input;
    const options =
      config === undefined
        ? {}
        : {
            adapterConfig: parsePythonJson(config.name, await readText(blobSource(config.name, config))) as Record<
              string,
              unknown
            >,
          };
    const opened = await openSafetensors(
      file.size <= readWhole
        ? bytesSource(file.name, new Uint8Array(await file.arrayBuffer()))
        : blobSource(file.name, file),
    );
    const title = opened.metadata['modelspec.title'] ?? file.name.replace(/\.safetensors$/, '');
    return { title, bytes: file.size, file: opened, options };
  };
  const weighted = async (
    loras: readonly WeightedLoraInput[],
    read: (opened: OpenedLora) => Promise<LoraFile>,
  ): Promise<{ parts: WeightedLora[]; names: string[] }> => {
    const parts: WeightedLora[] = [];
    const names: string[] = [];
    for (const { input, ...weights } of loras) {
      const opened = await open(input);
      parts.push(...atWeights(await read(opened), weights));
      const { weight, textEncoderWeight } = weights;
      const numbers = textEncoderWeight === weight ? [weight] : [weight, textEncoderWeight];
      names.push(`${opened.title} (${numbers.join(', ')})`);
    }
    return { parts, names };
  };
  return {
    'lora.report': async ({ input }) => reportOf(await open(input)),
    'lora.write': async ({ input, options }, context) => {
      const opened = await open(input);
      const lora = await readNamed(opened);
      return written(lora, opened.title, opened.file.metadata, options, context);
    },
    'lora.resize': async ({ input, rank, options }, context) => {
      const opened = await open(input);
      const lora = await readNamed(opened);
      const combined = await combine([{ lora, weight: 1 }], rank, context);
      const metadata = { ...opened.file.metadata, ...rankMetadata(rank) };
      const title = `${opened.title}-rank${rank}`;
      return withErrors(await written(combined.lora, title, metadata, options, context, combiningShare), combined);
    },
    'lora.merge': async ({ loras, rank, title, options }, context) => {
      const { parts, names } = await weighted(loras, readNamed);
      const combined = await combine(parts, rank, context);
      const metadata = mergedMetadata(title, combined, names);
      return withErrors(await written(combined.lora, title, metadata, options, context, combiningShare), combined);
    },
    'lora.bake': async ({ modelId, loras, layout, dtype, title }, context) => {
      const tree = await models.openTree(modelId);
      const model = await openDiffusionModel(tree);
      const known = adaptableModules(model);
      const { parts } = await weighted(loras, ({ file, options }) => readLora(file, known, options));
      const request: BakeRequest = { tree, loras: parts, dtype, onProgress: progressOf(context, 'Writing weights') };
      const { layersPerBlock, upAttention } = model.unetConfig;
      const vaeLevels = model.vaeConfig.blockOutChannels.length;
      const pieces =
        layout === 'folder'
          ? zipPieces(await bakeFolder(request))
          : (await bakeSingleFile(request, { layersPerBlock, upAttention, vaeLevels })).pieces();
      const blob = await blobOf(unhurried(pieces, context.signal), context.signal);
      return { fileName: bakedName(title, layout), blob };
    },
  };
}

function bakedName(title: string, layout: BakeOptions['layout']): string {
  return `${safeFileName(title)}.${layout === 'folder' ? 'zip' : 'safetensors'}`;
}

async function* unhurried(pieces: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    await letMessagesIn(signal);
    yield piece;
  }
}

/** Read by the names of SD1.5's layers, whatever their sizes: the demo model's LoRAs too. */
function readNamed({ file, options }: OpenedLora): Promise<LoraFile> {
  return readLora(file, sd15ModuleNames(), options);
}

async function reportOf({ file, bytes, options }: OpenedLora): Promise<LoraReport> {
  return {
    fileName: file.fileName,
    bytes,
    description: await describeLora(file, sd15ModuleNames(), options),
    tools: await checkTools(file, sd15Modules()),
    metadata: file.metadata,
    tensors: file.names().map((name) => {
      const { dtype, shape } = file.info(name);
      return { name, dtype, shape };
    }),
  };
}

/** Reports the share that is done, and how long the rest will take. */
function progressOf({ emit }: RequestContext, detail: string): (done: number, total: number) => void {
  const started = performance.now();
  let first: number | undefined;
  return (done, total) => {
    first ??= done;
    const seconds = (performance.now() - started) / 1000;
    const etaSeconds = done === first ? null : (seconds / (done - first)) * (total - done);
    emit('lora.progress', { fraction: done / total, etaSeconds, detail });
  };
}

/** Does long work step by step, so that a cancellation is heard and the page sees how far it is. */
async function unhurriedly<T>(steps: Steps<T>, detail: string, context: RequestContext): Promise<T> {
  const onProgress = progressOf(context, detail);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    onProgress(step.value, 1);
    await letMessagesIn(context.signal);
  }
}

/** Of merging and resizing; the rest is writing. */
const combiningShare = 0.8;

function combine(inputs: readonly WeightedLora[], rank: number | null, context: RequestContext): Promise<Combined> {
  return unhurriedly(within(0, combiningShare, combineSteps(inputs, rank)), 'Combining layers', context);
}

/** Writes an adapter, from this share of the whole work on, and asks the tools about the very bytes that were written. */
async function written(
  lora: Lora,
  title: string,
  metadata: Readonly<Record<string, string>>,
  { form, dtype, header }: LoraWriteOptions,
  context: RequestContext,
  from = 0,
): Promise<LoraWritten> {
  const edited = header === undefined ? keptMetadata(metadata) : editedMetadata(metadata, header);
  const files = await unhurriedly(
    within(from, 1, writeLoraSteps(lora, { form, dtype, metadata: edited })),
    'Writing layers',
    context,
  );
  const name = safeFileName(header?.title ?? title);
  const blobs = [...files].map(([path, bytes]) => ({ path, blob: new Blob([bytes]) }));
  const [weights] = blobs.filter(({ path }) => path === '' || path.endsWith('.safetensors'));
  const tools: ToolVerdict[] = weights
    ? await checkTools(await openSafetensors(blobSource(name, weights.blob)), sd15Modules())
    : [];
  const [only] = blobs;
  if (blobs.length === 1 && only?.path === '') return { fileName: `${name}.safetensors`, blob: only.blob, tools };
  const pieces = zipPieces(
    blobs.map(({ path, blob }) => ({
      path: `${name}/${path}`,
      size: blob.size,
      async *pieces() {
        yield new Uint8Array(await blob.arrayBuffer());
      },
    })),
  );
  return { fileName: `${name}.zip`, blob: await blobOf(pieces, context.signal), tools };
}

function withErrors(file: LoraWritten, { error, layers }: Combined): LoraCombined {
  return { ...file, error, layers };
}
