// Plan: the loop over arithmetic that stands for the GPU's. Kills at random points, within steps, samples and checkpoints, again and again,
// also around an overflow: always the bytes, losses, rates and samples of a run that was never stopped. Roll-backs halve the rate, and the
// fourth gives up with what was good. Pausing, stopping, wishes between steps. (On the GPU: cli/resume.gpu.test.ts.)
import 'fake-indexeddb/auto';
import { describe, expect, test } from 'vitest';
import { defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import { RunStore } from '../storage/runStore.ts';
import { dieAtPut, freshDatabase } from '../storage/testing.ts';
import type { RunEvent, TrainRequest } from '../worker/protocol.ts';
import { type LiveModel, RunEndedError, TrainControl } from './control.ts';
import { BranchOptionError, RunKeeper } from './runKeeper.ts';
import type { TrainingEvents, TrainingResult } from './training.ts';
import { type LoopParts, TrainingLoop } from './trainingLoop.ts';

const imageIds = ['a', 'b', 'c'];

const options: TrainOptions = {
  ...defaultTrainOptions,
  maxTrainSteps: 60,
  learningRate: 0.25,
  sampleEvery: 20,
  samplePrompts: [{ prompt: 'a cat', seed: 1 }],
  validation: { ...defaultTrainOptions.validation, count: 1, everySteps: 12 },
  checkpoints: { everySteps: 8, keep: 2 },
};

const bytesOf = (values: Float32Array) => new Uint8Array(values.slice().buffer);
const floatsOf = (bytes?: { readonly buffer: ArrayBuffer }) => new Float32Array(bytes!.buffer.slice());

/** A model of two numbers with a momentum: every step depends on its number and on all before. Overflows where `overflows` says so. */
function arithmetic(own: TrainOptions, overflows: (step: number, factor: number) => boolean = () => false) {
  const values = Float32Array.of(1, 2);
  const momentum = Float32Array.of(0, 0);
  let steps = 0;
  const modules = (): TrainingResult['modules'] => [
    {
      module: 'm',
      target: 'unet',
      down: values.slice(0, 1),
      up: values.slice(1),
      rank: 1,
      alpha: 1,
      inFeatures: 1,
      outFeatures: 1,
    },
  ];
  const parts: LoopParts = {
    options: own,
    imageIds,
    live: { modules: async () => modules() } as unknown as LiveModel,
    counters: { liveBytes: 1, peakBytes: 2 },
    step: async (globalStep, factor) => {
      await Promise.resolve();
      steps++;
      const rate = own.learningRate * factor;
      const isFinite = !overflows(globalStep + 1, factor);
      for (let i = 0; i < 2; i++) {
        momentum[i] = 0.9 * momentum[i]! + Math.sin(globalStep * 3 + i + values[i]!);
        values[i]! -= isFinite ? rate * momentum[i]! : NaN;
      }
      const loss = isFinite ? Math.fround(Math.abs(values[0]!)) : NaN;
      const examples = [{ image: globalStep % 3, timestep: globalStep, loss }];
      // Known only after the next step may have been recorded.
      const read = new Promise((resolve) => setTimeout(resolve, 0));
      return {
        result: read.then(() => ({ loss, learningRate: rate, applied: isFinite, examples, strip: async () => [] })),
      };
    },
    readState: async () =>
      new Map([
        ['values.0', bytesOf(values)],
        ['momentum', bytesOf(momentum)],
      ]),
    restoreState: (state) => {
      values.set(floatsOf(state.get('values.0')));
      momentum.set(floatsOf(state.get('momentum')));
    },
    epochsAfter: (count) => count / 2.5,
    validate: async () => ({ loss: values[1]!, byTimestep: [{ timestep: 500, loss: values[1]! }] }),
    sample: async () => {
      await Promise.resolve();
      return [{ prompt: 'a cat', seed: 1, image: { width: 1, height: 1, data: Uint8Array.of(values[0]! * 50) } }];
    },
  };
  return { parts, values, steps: () => steps };
}

function requestFor(own: TrainOptions): TrainRequest {
  return {
    modelId: 'm',
    name: 'run',
    triggerWord: '',
    images: imageIds.map((id) => ({ id, caption: '' })),
    options: own,
  };
}

type Overflows = Parameters<typeof arithmetic>[1];

/** Everything that came of a run, from what is stored of it. */
async function outcome(runs: RunStore, id: string) {
  const run = await runs.get(id);
  const samples = await runs.samples(id);
  const rolledBack = (run.events ?? []).filter(({ kind }) => kind === 'rolled-back');
  return {
    steps: run.globalStep,
    losses: run.losses,
    validation: run.validation,
    record: await runs.record(id),
    samples: await Promise.all(
      samples.map(async ({ globalStep, images }) => [globalStep, await images[0]!.png.text()] as const),
    ),
    rolledBack: new Set(rolledBack.map(({ text }) => text)),
  };
}

/** Goes on with what is stored of a run, with a new model, as after a reload. */
async function train(
  runs: RunStore,
  keeper: RunKeeper,
  {
    overflows,
    events = {},
    control = new TrainControl(),
  }: { overflows?: Overflows; events?: TrainingEvents; control?: TrainControl } = {},
) {
  const { parts, values } = arithmetic(keeper.request.options, overflows);
  const kept = keeper.events('m');
  const result = await new TrainingLoop(parts, control, {
    ...kept,
    onSample: async ({ globalStep, images }) => {
      await events.onSample?.({ globalStep, images });
      const drawn = images.map(({ prompt, seed, image }) => ({ prompt, seed, png: new Blob([String(image.data[0])]) }));
      await runs.addSample({ runId: keeper.run.id, globalStep, images: drawn });
    },
    onStep: (report) => events.onStep?.(report),
    onCheckpoint: (report) => (events.onCheckpoint ? events.onCheckpoint(report) : kept.onCheckpoint(report)),
  }).run(await keeper.newestCheckpoint());
  await keeper.end(result.stopped ? 'stopped' : 'finished', 'Over.');
  return { result, values };
}

async function straight(own: TrainOptions, overflows?: Overflows) {
  const runs = new RunStore(freshDatabase());
  const keeper = await RunKeeper.begin(runs, requestFor(own));
  const { result, values } = await train(runs, keeper, overflows ? { overflows } : {});
  return { modules: result.modules, values, ...(await outcome(runs, keeper.run.id)) };
}

/** Numbers from 0 to 1 that are the same at every run of the test. */
function randoms(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

/** Runs with `kills` deaths at random moments, each time from what is stored. */
async function killed(own: TrainOptions, kills: number, seed: number, overflows?: Overflows) {
  const runs = new RunStore(freshDatabase());
  const request = requestFor(own);
  const { id } = (await RunKeeper.begin(runs, request)).run;
  const random = randoms(seed);
  let deaths = 0;
  for (let kill = 0; ; kill++) {
    const keeper = await RunKeeper.reopen(runs, id, request);
    const kept = keeper.events('m');
    // So many things happen until it dies: steps, samples, checkpoints alike.
    let left = kill < kills ? 1 + Math.floor(random() * 9) : Infinity;
    const half = random() < 0.5;
    const happens = (): void => {
      if (--left <= 0) throw new Error('died');
    };
    try {
      const { result, values } = await train(runs, keeper, {
        ...(overflows ? { overflows } : {}),
        events: {
          onStep: happens,
          onSample: happens,
          onCheckpoint: async (report) => {
            if (--left > 0) return kept.onCheckpoint(report);
            if (!half) throw new Error('died');
            const death = dieAtPut(1 + Math.floor(random() * 4));
            try {
              await kept.onCheckpoint(report);
            } finally {
              death.undo();
            }
            throw new Error('died');
          },
        },
      });
      return { deaths, modules: result.modules, values, ...(await outcome(runs, id)) };
    } catch (error) {
      // A death within a write shows as the transaction's own error.
      if (left > 0) throw error;
      deaths++;
    }
  }
}

describe('a run that is killed and gone on with', () => {
  test.each([1, 2, 3, 4, 5])('twenty times, ends as one that was not (%i)', async (seed) => {
    const expected = await straight(options);
    expect(expected.losses).toHaveLength(60);
    expect(expected.samples.map(([step]) => step)).toEqual([0, 20, 40, 60]);
    const { deaths, ...result } = await killed(options, 20, seed);
    expect(deaths).toBe(20);
    expect(result).toEqual(expected);
  });

  test.each([1, 2, 3])('also where numbers overflow (%i)', async (seed) => {
    const overflows: Overflows = (step, factor) => (step === 21 && factor > 0.5) || (step === 45 && factor > 0.25);
    const expected = await straight(options, overflows);
    expect([...expected.rolledBack]).toHaveLength(2);
    const { deaths, ...result } = await killed(options, 20, seed, overflows);
    expect(deaths).toBe(20);
    expect(result).toEqual(expected);
    expect(result.modules).not.toEqual((await straight(options)).modules);
  });
});

describe('numbers that overflow', () => {
  const { checkpoints: _, ...rest } = options;
  const own: TrainOptions = { ...rest, checkpoints: { everySteps: 10, keep: 1 } };

  test('send the run back with half the rate, and the log says so', async () => {
    const runs = new RunStore(freshDatabase());
    const heard: RunEvent[] = [];
    const rates = new Map<number, number>();
    const keeper = await RunKeeper.begin(runs, requestFor(own), (_id, event) => void heard.push(event));
    await train(runs, keeper, {
      overflows: (step, factor) => step === 27 && factor === 1,
      events: { onStep: ({ globalStep, learningRate }) => void rates.set(globalStep, learningRate) },
    });
    expect([rates.get(20), rates.get(21), rates.get(60)]).toEqual([0.25, 0.125, 0.125]);
    expect(heard.filter(({ kind }) => kind === 'rolled-back')).toMatchObject([
      {
        globalStep: 20,
        text: 'At step 27 the numbers overflowed. The run went back to step 20 and goes on at half the learning rate, 1.25e-1.',
      },
    ]);
    expect((await runs.get(keeper.run.id)).losses).toHaveLength(60);
  });

  test('again and again end it, and what was good is kept', async () => {
    const runs = new RunStore(freshDatabase());
    const keeper = await RunKeeper.begin(runs, requestFor(own));
    await expect(train(runs, keeper, { overflows: (step) => step === 34 })).rejects.toMatchObject({
      code: 'training-diverged',
      message:
        'At step 34 the loss is no longer a number, and halving the learning rate 3 times, to 3.13e-2, did not help.',
      remedy: expect.stringContaining('What was learnt until step 30 is kept.') as string,
    });
    expect((await runs.get(keeper.run.id)).globalStep).toBe(30);
    expect(await runs.adapter(keeper.run.id)).toBeInstanceOf(Uint8Array);
  });

  test('that the very last update brings in send it back too', async () => {
    const { parts, values } = arithmetic(own);
    const step: typeof parts.step = async (globalStep, factor) => {
      const done = await parts.step(globalStep, factor);
      if (globalStep === 59 && factor === 1) values.fill(Infinity);
      return done;
    };
    const result = await new TrainingLoop({ ...parts, step }, new TrainControl(), {}).run(null);
    expect(result).toMatchObject({ globalStep: 60, stopped: false });
    expect(values.every(Number.isFinite)).toBe(true);
  });

  test('without a store, the last good state is remembered', async () => {
    const { parts } = arithmetic(own, (step, factor) => step === 13 && factor === 1);
    const { globalStep } = await new TrainingLoop(parts, new TrainControl(), {}).run(null);
    expect(globalStep).toBe(60);
  });
});

describe('two trial steps', () => {
  test('leave no trace', async () => {
    const { parts, steps } = arithmetic({ ...options, maxTrainSteps: 5 });
    const seen: unknown[] = [];
    const { modules } = await new TrainingLoop(parts, new TrainControl(), {
      onTrial: async ({ msPerStep, ...trial }) => {
        seen.push(trial, msPerStep >= 0);
        return true;
      },
    }).run(null);
    const { parts: without } = arithmetic({ ...options, maxTrainSteps: 5 });
    expect(modules).toEqual((await new TrainingLoop(without, new TrainControl(), {}).run(null)).modules);
    expect(steps()).toBe(7);
    expect(seen).toEqual([{ gpuPeakBytes: 2, stateBytes: 16, adapterBytes: 8 }, true]);
  });

  test('may be the last', async () => {
    const { parts, values } = arithmetic(options);
    const checkpoints: number[] = [];
    const result = await new TrainingLoop(parts, new TrainControl(), {
      onTrial: async () => false,
      onCheckpoint: async ({ checkpoint }) => void checkpoints.push(checkpoint.position.globalStep),
    }).run(null);
    expect(result).toMatchObject({ globalStep: 0, stopped: true });
    expect([[...values], checkpoints]).toEqual([[1, 2], []]);
  });
});

describe('between steps', () => {
  test('a pause keeps the state and does what is asked for; a stop keeps what was learnt', async () => {
    const runs = new RunStore(freshDatabase());
    const keeper = await RunKeeper.begin(runs, requestFor(options));
    const control = new TrainControl();
    const drawn: number[] = [];
    const { result } = await train(runs, keeper, {
      control,
      events: {
        onStep: ({ globalStep }) => {
          if (globalStep === 5) {
            control.pause();
            setTimeout(
              () => void control.betweenSteps(async () => void drawn.push(5)).then(() => control.resume()),
              20,
            );
          }
          if (globalStep === 7) control.requestStop();
        },
      },
    });
    // Each time one step more was with the GPU already, but not where the grid has a checkpoint.
    expect(result).toMatchObject({ globalStep: 8, stopped: true });
    expect(drawn).toEqual([5]);
    expect((await runs.checkpoints(keeper.run.id)).map(({ globalStep }) => globalStep)).toEqual([6, 8]);
  });

  test('the next step is recorded before the loss of this one is read, but for where the state is looked at', async () => {
    const log: string[] = [];
    const own = { ...options, maxTrainSteps: 10, checkpoints: { everySteps: 4, keep: 1 }, samplePrompts: [] };
    const { parts } = arithmetic({ ...own, validation: { ...own.validation, everySteps: 6 } });
    const step: typeof parts.step = (globalStep, factor) => {
      log.push(`record ${globalStep + 1}`);
      return parts.step(globalStep, factor);
    };
    await new TrainingLoop({ ...parts, step }, new TrainControl(), {
      onStep: ({ globalStep }) => void log.push(`loss ${globalStep}`),
      onCheckpoint: async ({ checkpoint }) => void log.push(`checkpoint ${checkpoint.position.globalStep}`),
      onValidation: async ({ globalStep }) => void log.push(`validation ${globalStep}`),
    }).run(null);
    expect(log.join(', ')).toBe(
      'validation 0, checkpoint 0, record 1, record 2, loss 1, record 3, loss 2, record 4, loss 3, loss 4, checkpoint 4, ' +
        'record 5, record 6, loss 5, loss 6, validation 6, record 7, record 8, loss 7, loss 8, checkpoint 8, ' +
        'record 9, record 10, loss 9, loss 10, validation 10, checkpoint 10',
    );
  });

  test('one wish a step; one that is taken back is not done; those left over are turned away', async () => {
    const { parts } = arithmetic({ ...options, maxTrainSteps: 3 });
    const control = new TrainControl();
    const log: string[] = [];
    const abort = new AbortController();
    const wishes = ['a', 'b', 'c', 'd'].map((name) =>
      control
        .betweenSteps(async () => void log.push(name), name === 'b' ? abort.signal : undefined)
        .catch((error: unknown) => void log.push(`${name}: ${(error as Error).name}`)),
    );
    abort.abort();
    await new TrainingLoop(parts, control, { onStep: ({ globalStep }) => void log.push(String(globalStep)) }).run(null);
    control.end();
    await Promise.all(wishes);
    expect(log).toEqual(['b: AbortError', 'a', '1', 'c', '2', 'd', '3']);
    await expect(control.betweenSteps(async () => 1)).rejects.toThrow(RunEndedError);
  });

  test('a wish that fails does not harm the run', async () => {
    const { parts } = arithmetic({ ...options, maxTrainSteps: 2 });
    const control = new TrainControl();
    const wish = control.betweenSteps(() => Promise.reject(new Error('no')));
    const [failed, { globalStep }] = await Promise.all([
      wish.catch((error: unknown) => error),
      new TrainingLoop(parts, control, {}).run(null),
    ]);
    expect([(failed as Error).message, globalStep]).toEqual(['no', 2]);
  });
});

describe('a branch', () => {
  async function parent() {
    const runs = new RunStore(freshDatabase());
    const keeper = await RunKeeper.begin(runs, requestFor(options));
    await train(runs, keeper);
    return { runs, parent: await runs.get(keeper.run.id) };
  }

  test('with the same options learns the same; with another rate something else; and knows its parent', async () => {
    const { runs, parent: trunk } = await parent();
    const expected = await straight(options);
    const branch = async (own: TrainOptions) => {
      const keeper = await RunKeeper.branch(
        runs,
        { ...requestFor(own), name: 'branch' },
        { parent: trunk, globalStep: 56 },
      );
      expect(await runs.adapter(keeper.run.id)).toBeInstanceOf(Uint8Array);
      const { result } = await train(runs, keeper);
      return { modules: result.modules, run: await runs.get(keeper.run.id) };
    };
    const same = await branch(options);
    expect(same.modules).toEqual(expected.modules);
    expect(same.run).toMatchObject({ name: 'branch', parent: { runId: trunk.id, name: 'run', globalStep: 56 } });
    expect(same.run.losses).toEqual(expected.losses);
    expect((await branch({ ...options, learningRate: 0.05 })).modules).not.toEqual(expected.modules);
    expect((await runs.get(trunk.id)).losses).toEqual(expected.losses);
  });

  test('cannot change what its state consists of', async () => {
    const { runs, parent: trunk } = await parent();
    const request = requestFor({ ...options, rank: 8 });
    const branching = RunKeeper.branch(runs, request, { parent: trunk, globalStep: 56 });
    await expect(branching).rejects.toThrow(BranchOptionError);
    await expect(branching).rejects.toThrow('so rank must stay 4.');
    const averaging = requestFor({ ...options, emaDecay: 0.99 });
    await expect(RunKeeper.branch(runs, averaging, { parent: trunk, globalStep: 56 })).rejects.toThrow(
      'so emaDecay must stay off.',
    );
    const freezing = requestFor({ ...options, blockLearningRates: { mid_block: 0, 'up_blocks.1': 0.5 } });
    await expect(RunKeeper.branch(runs, freezing, { parent: trunk, globalStep: 56 })).rejects.toThrow(
      'so blockLearningRates must stay without frozen blocks.',
    );
    await expect(RunKeeper.branch(runs, requestFor(options), { parent: trunk, globalStep: 9 })).rejects.toMatchObject({
      code: 'checkpoint-not-stored',
    });
  });
});

test('samples are drawn with the last step of every so manieth epoch', async () => {
  // Two and a half steps are an epoch.
  const { parts } = arithmetic({ ...options, maxTrainSteps: 12, sampleEvery: 0, sampleEveryEpochs: 2 });
  const drawn: number[] = [];
  const events = { onSample: ({ globalStep }: { readonly globalStep: number }) => void drawn.push(globalStep) };
  await new TrainingLoop(parts, new TrainControl(), events).run(null);
  expect(drawn).toEqual([0, 5, 10, 12]);
});

test('held-out images are measured before the first step, every so many steps, and after the last', async () => {
  const measured: number[] = [];
  const events = { onValidation: ({ globalStep }: { readonly globalStep: number }) => void measured.push(globalStep) };
  await new TrainingLoop(arithmetic({ ...options, maxTrainSteps: 30 }).parts, new TrainControl(), events).run(null);
  expect(measured).toEqual([0, 12, 24, 30]);
});
