// Plan: a run that is killed at twenty random points, between steps, within them and while its checkpoint is being written, and gone on
// with each time from what is stored, ends in the bytes of a run that was never stopped: adapter, losses, every picture's loss.
// Pictures drawn meanwhile change nothing that is learnt.
import 'fake-indexeddb/auto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RgbImage } from '../core/image.ts';
import { defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import { openDevice } from '../gpu/device.ts';
import { startRuntime, stopRuntime } from '../gpu/runtime.ts';
import { openDiffusionModel, type DiffusionModel } from '../models/repository.ts';
import { RunStore } from '../storage/runStore.ts';
import { dieAtPut, freshDatabase } from '../storage/testing.ts';
import type { StoredRun, TrainRequest } from '../worker/protocol.ts';
import type { Adapter } from '../adapter/lora.ts';
import { ImageGenerator } from '../session/generation.ts';
import type { GenerationRequest } from '../session/generationRequest.ts';
import { LiveGenerator } from '../session/liveGenerator.ts';
import { TrainControl } from '../session/control.ts';
import { RunKeeper } from '../session/runKeeper.ts';
import { trainLora, type TrainingEvents, type TrainingResult } from '../session/training.ts';
import { noiseConfigOf } from '../trainer/batch.ts';
import { type Miniature, writeMiniature } from '../../tools/miniature.ts';
import { folderTree } from './nodeFiles.ts';

let miniature: Miniature;
let model: DiffusionModel;

beforeAll(async () => {
  await startRuntime(await openDevice(navigator.gpu));
  miniature = await writeMiniature();
  ({ model } = miniature);
});

afterAll(async () => {
  await miniature.remove();
  stopRuntime();
});

const options: TrainOptions = {
  ...defaultTrainOptions,
  resolution: 16,
  rank: 2,
  alpha: 2,
  learningRate: 1e-3,
  trainBatchSize: 1,
  flipProbability: 0.5,
  checkpoints: { everySteps: 4, keep: 2 },
};

function picture(index: number): RgbImage {
  const data = new Uint8Array(16 * 16 * 3).map((_, i) => (i * (index + 3)) % 251);
  return { width: 16, height: 16, data };
}

const images = [0, 1].map((index) => ({ id: `image-${index}`, caption: `number ${index}` }));

function requestFor(changes: Partial<TrainOptions>): TrainRequest {
  return { modelId: 'tiny', name: 'killed', triggerWord: 'sks', images, options: { ...options, ...changes } };
}

class Killed extends Error {}

/** Goes on with a stored run (or begins it) as the studio does. */
async function train(
  keeper: RunKeeper,
  events: TrainingEvents = {},
  control = new TrainControl(),
): Promise<TrainingResult> {
  const resumeFrom = await keeper.newestCheckpoint();
  const { triggerWord, options: own } = keeper.request;
  const result = await trainLora(
    {
      model,
      images: images.map((image, i) => ({ ...image, pixels: async () => picture(i) })),
      triggerWord,
      options: own,
      ...(resumeFrom ? { resumeFrom } : {}),
    },
    control,
    { ...keeper.events('tiny'), ...events },
  );
  await keeper.end(result.stopped ? 'stopped' : 'finished', 'Done.');
  return result;
}

interface Outcome {
  readonly run: StoredRun;
  readonly adapter: TrainingResult['modules'];
  readonly record: Awaited<ReturnType<RunStore['record']>>;
}

async function straight(changes: Partial<TrainOptions>): Promise<Outcome> {
  const runs = new RunStore(freshDatabase());
  const keeper = await RunKeeper.begin(runs, requestFor(changes));
  const { modules } = await train(keeper);
  const { id } = keeper.run;
  return { run: await runs.get(id), adapter: modules, record: await runs.record(id) };
}

/** Numbers from 0 (exclusive) to 1 that are the same at every run of the test. */
function* randoms(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (state * 48271) % 2147483647;
    yield state / 2147483647;
  }
}

describe('a run that is killed and gone on with', () => {
  test('ends in the same bytes', async () => {
    const [steps, kills] = [60, 20];
    const expected = await straight({ maxTrainSteps: steps });

    const runs = new RunStore(freshDatabase());
    const request = requestFor({ maxTrainSteps: steps });
    let { id } = (await RunKeeper.begin(runs, request)).run;
    const random = randoms(4242);
    const draw = (below: number): number => Math.floor(random.next().value * below);
    const died: string[] = [];
    for (let kill = 0; kill < kills; kill++) {
      const keeper = await RunKeeper.reopen(runs, id, request);
      const from = (await runs.get(id)).globalStep;
      const kind = (['after a step', 'at a checkpoint', 'within the writing'] as const)[draw(3)]!;
      // Far enough to get on, not so far that the run is over before the last kill.
      const deadline = from + 1 + draw(Math.max(1, Math.floor((2 * (steps - from)) / (kills - kill))));
      const kept = keeper.events('tiny');
      const dying = train(keeper, {
        onStep: ({ globalStep }) => {
          if (kind === 'after a step' && globalStep >= deadline) throw new Killed('died');
        },
        onCheckpoint: async (report) => {
          const { globalStep } = report.checkpoint.position;
          if (kind === 'at a checkpoint' && globalStep >= deadline) throw new Killed('died');
          if (kind === 'within the writing' && globalStep >= deadline) await dieWithin(() => kept.onCheckpoint(report));
          await kept.onCheckpoint(report);
        },
      });
      await expect(dying).rejects.toThrow('died');
      died.push(`${kind} at ${deadline}`);
      id = keeper.run.id;
    }
    expect(new Set(died.map((text) => text.replace(/ at \d+$/, ''))).size).toBe(3);
    const keeper = await RunKeeper.reopen(runs, id, request);
    const result = await train(keeper);
    expect(result.modules).toEqual(expected.adapter);
    const run = await runs.get(id);
    expect(run.losses).toEqual(expected.run.losses);
    expect(run.losses).toHaveLength(steps);
    expect(await runs.record(id)).toEqual(expected.record);
  });
});

test('pictures drawn between the steps leave no trace in what is learnt, and show the adapter as it is then', async () => {
  // Of the miniature's random weights so few steps show nothing.
  model = await openDiffusionModel(await folderTree('fixtures/sd15-tiny/model'));
  const steps = 3;
  const changes = { maxTrainSteps: steps, predictionType: 'v_prediction', zeroTerminalSnr: true } as const;
  const expected = await straight(changes);
  const keeper = await RunKeeper.begin(new RunStore(freshDatabase()), requestFor(changes));
  const control = new TrainControl();
  const live = new LiveGenerator(model, 'killed', keeper.request.options);
  const wish: GenerationRequest = {
    prompt: 'sks, number 1',
    negativePrompt: '',
    seed: 7,
    numInferenceSteps: 1,
    guidanceScale: 1,
    width: 64,
    height: 64,
    scheduler: 'ddim',
    loras: [],
  };
  const pictures: Promise<{ plain: RgbImage; at0: RgbImage; at1: RgbImage; adapter: Adapter }>[] = [];
  const { modules } = await train(
    keeper,
    {
      onStep: ({ globalStep }) => {
        // The second step is with the GPU already: what is asked for now comes after it.
        if (globalStep !== 1) return;
        pictures.push(
          live.draw(control, async (generator, adapter) => {
            const draw = (...loras: GenerationRequest['loras']): Promise<RgbImage> =>
              generator.generate({ ...wish, loras });
            const plain = await draw();
            return { plain, at0: await draw({ adapter, weight: 0 }), at1: await draw({ adapter, weight: 1 }), adapter };
          }),
        );
      },
    },
    control,
  );
  expect(modules).toEqual(expected.adapter);
  const { plain, at0, at1, adapter } = await pictures[0]!;
  expect(at0.data).toEqual(plain.data);
  expect(at1.data).not.toEqual(plain.data);
  // By what the run trains the model to predict, not by what it was made for.
  const withAdapter = { ...wish, loras: [{ adapter, weight: 1 }] };
  const schedulerConfig = noiseConfigOf(changes, model.schedulerConfig);
  const generator = new ImageGenerator({ ...model, schedulerConfig });
  expect((await generator.generate(withAdapter)).data).toEqual(at1.data);
  generator.dispose();
  const other = new ImageGenerator(model);
  expect((await other.generate(withAdapter)).data).not.toEqual(at1.data);
  other.dispose();
});

/** Does `write` with a browser that dies half-way; always throws. */
async function dieWithin(write: () => Promise<void>): Promise<never> {
  const death = dieAtPut(3);
  try {
    await write();
  } catch {
    // What the transaction says of its end.
  } finally {
    death.undo();
  }
  throw new Killed('died while writing');
}
