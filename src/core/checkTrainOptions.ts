/** Says what is wrong with options, all at once, each in a sentence with the rule and what to do. Pure: for form, command line and session. */
import type { TrainOptions } from './trainOptions.ts';
import { keepsRule, optionAt, ruleInWords, type TrainOptionPath, trainOptionRules } from './trainOptionRules.ts';

export interface TrainOptionProblem {
  /** Path of the option, e.g. `optimizer.beta1`, `blockLearningRates` or `samplePrompts.2.width`. */
  readonly option: string;
  readonly value: unknown;
  /** `it must ...` or `this model needs ...`: ends the sentence "OPTION is VALUE, but ...". */
  readonly rule: string;
  /** The whole sentence, with the option's name before a person. */
  readonly message: string;
  readonly remedy: string;
}

/** What the options are checked against; what is not known is not checked. */
export interface TrainOptionContext {
  /** Side of the pictures that the model was trained on, in pixels. */
  readonly imageSize?: number;
  /** Sides must be multiples of so many pixels. */
  readonly sizeUnit?: number;
  /** Images to train on. */
  readonly imageCount?: number;
  /** Whether the GPU computes in 16 bits (`shader-f16`). */
  readonly halfPrecision?: boolean;
}

/** The largest side, in pixels, for a model that was trained on pictures of `imageSize`: half as much again, 768 for SD1.5. */
export function largestResolution(imageSize: number): number {
  return Math.floor(imageSize * 1.5);
}

/** Timesteps of a validation: an image goes through the UNet at all of them at once. */
const mostTimesteps = 32;

/** Every problem, in the options' order; none if they can be trained. */
export function checkTrainOptions(options: TrainOptions, context: TrainOptionContext = {}): TrainOptionProblem[] {
  const problems: TrainOptionProblem[] = [];
  for (const path of Object.keys(trainOptionRules) as TrainOptionPath[]) {
    const rule = trainOptionRules[path];
    const value = optionAt(options, path);
    if (!keepsRule(value, rule)) problems.push(problem(path, rule.label, value, ruleInWords(rule)));
  }
  problems.push(...listProblems(options));
  // Rules between options make sense only where each is one by itself.
  if (problems.length === 0) problems.push(...jointProblems(options, context));
  return problems;
}

function problem(
  option: string,
  label: string,
  value: unknown,
  rule: string,
  remedy = `Change ${option} and start again.`,
): TrainOptionProblem {
  return { option, value, rule, message: `${label} is ${inWords(value)}, but ${rule}.`, remedy };
}

function inWords(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'empty';
  if (typeof value === 'string') return `“${value}”`;
  return typeof value === 'number' ? String(value) : JSON.stringify(value);
}

/** The lists and maps, which the table of rules leaves out. */
function listProblems({ blockLearningRates, validation, samplePrompts }: TrainOptions): TrainOptionProblem[] {
  const problems: TrainOptionProblem[] = [];
  for (const [block, factor] of Object.entries(blockLearningRates)) {
    if (!Number.isFinite(factor) || factor < 0 || factor > 100) {
      const label = `The learning rate factor of ${block}`;
      problems.push(problem('blockLearningRates', label, factor, 'it must be a number from 0 to 100'));
    }
  }
  const { timesteps } = validation;
  if (
    timesteps.length === 0 ||
    timesteps.length > mostTimesteps ||
    !timesteps.every((t) => Number.isInteger(t) && t >= 0 && t < 1000)
  ) {
    const rule = `they must be 1 to ${mostTimesteps} whole numbers from 0 to 999`;
    problems.push({
      ...problem('validation.timesteps', 'Validation timesteps', timesteps, rule),
      message: `Validation timesteps are ${JSON.stringify(timesteps)}, but ${rule}.`,
    });
  }
  samplePrompts.forEach((sample, i) => {
    const check = (name: keyof typeof sample, min: number, max: number, whole: boolean): void => {
      const value = sample[name];
      if (value === undefined) return;
      if (typeof value === 'number' && value >= min && value <= max && (!whole || Number.isInteger(value))) return;
      const rule = `it must be a ${whole ? 'whole ' : ''}number from ${min} to ${max}`;
      problems.push(problem(`samplePrompts.${i}.${name}`, `${name} of sample prompt ${i + 1}`, value, rule));
    };
    check('seed', 0, 2 ** 32 - 1, true);
    check('width', 8, 4096, true);
    check('height', 8, 4096, true);
    check('numInferenceSteps', 1, 1000, true);
    check('guidanceScale', 0, 100, false);
  });
  return problems;
}

function jointProblems(options: TrainOptions, context: TrainOptionContext): TrainOptionProblem[] {
  const problems: TrainOptionProblem[] = [];
  const { buckets, targets, textEncoder, lrScheduler, validation, optimizer } = options;
  const add = (option: TrainOptionPath, rule: string, remedy?: string): void => {
    problems.push(problem(option, trainOptionRules[option].label, optionAt(options, option), rule, remedy));
  };
  if (!Object.values(targets).includes(true) && !textEncoder.train) {
    add('targets.attention', 'something must learn', 'Choose at least one kind of layer, or train the text encoder.');
  }
  if (optimizer.name !== 'prodigy' && options.learningRate > 0.1) {
    add('learningRate', 'above 0.1 only Prodigy, which multiplies a rate of its own, learns', 'Try 1e-4.');
  }
  const textRate = textEncoder.learningRate;
  if (optimizer.name === 'prodigy' && textEncoder.train && textRate > 0 && textRate < options.learningRate / 100) {
    const rule = `with Prodigy it multiplies the rate that is found, as the learning rate ${options.learningRate} does`;
    add('textEncoder.learningRate', rule, `Choose ${options.learningRate}, or half of it.`);
  }
  if (
    lrScheduler.name !== 'constant' &&
    lrScheduler.warmupSteps >= options.maxTrainSteps &&
    options.maxTrainEpochs === null
  ) {
    add(
      'lrScheduler.warmupSteps',
      `the run has ${options.maxTrainSteps} steps`,
      'Warm up for about a tenth of the steps.',
    );
  }
  if (lrScheduler.name === 'cosineWithRestarts' && !Number.isInteger(lrScheduler.cycles)) {
    add('lrScheduler.cycles', 'a schedule restarts a whole number of times', 'Choose 1, 2, 3 ...');
  }
  if (options.priorPreservation.enabled && options.priorPreservation.classPrompt.trim() === '') {
    add('priorPreservation.classPrompt', 'prior preservation needs one', 'Name the class, e.g. “a photo of a dog”.');
  }
  const { imageSize, sizeUnit, imageCount, halfPrecision } = context;
  if (halfPrecision === false && options.mixedPrecision === 'fp16') {
    add('mixedPrecision', 'this GPU, or this browser on it, cannot compute in 16 bits', 'Switch it off (“no”).');
  }
  if (imageSize !== undefined && options.resolution > largestResolution(imageSize)) {
    const rule = `this model, made for ${imageSize} px, does at most ${largestResolution(imageSize)}`;
    add('resolution', rule, `Choose ${imageSize}.`);
  }
  if (sizeUnit !== undefined) {
    if (options.resolution % sizeUnit !== 0) add('resolution', `this model needs a multiple of ${sizeUnit}`);
    if (buckets.enabled && buckets.step % sizeUnit !== 0)
      add('buckets.step', `this model needs a multiple of ${sizeUnit}`);
    options.samplePrompts.forEach((sample, i) => {
      for (const name of ['width', 'height'] as const) {
        const value = sample[name] ?? sizeUnit;
        if (value % sizeUnit !== 0) {
          const label = `${name} of sample prompt ${i + 1}`;
          problems.push(
            problem(`samplePrompts.${i}.${name}`, label, value, `this model needs a multiple of ${sizeUnit}`),
          );
        }
      }
    });
  }
  if (buckets.enabled) {
    if (buckets.minSide > options.resolution) add('buckets.minSide', `the resolution is ${options.resolution}`);
    if (buckets.maxSide < options.resolution) add('buckets.maxSide', `the resolution is ${options.resolution}`);
  }
  if (imageCount !== undefined && validation.count >= imageCount && imageCount > 0 && validation.count > 0) {
    const rule = `there are ${imageCount} images, and at least one must be trained on`;
    add('validation.count', rule, 'Hold out fewer images, or add more.');
  }
  return problems;
}
