// Plan: every option of one value has a flag; nothing given changes nothing; flags of each kind; kohya's spellings; lists; the errors.
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { trainOptionRules } from '../core/trainOptionRules.ts';
import { defaultTrainOptions, type TrainOptions } from '../core/trainOptions.ts';
import { addTrainFlags, trainOptionsOf } from './trainFlags.ts';

function parse(args: readonly string[] = []): TrainOptions {
  const command = addTrainFlags(new Command('train'));
  command.exitOverride().configureOutput({ writeErr: () => {} });
  command.parse([...args], { from: 'user' });
  return trainOptionsOf(command.opts(), defaultTrainOptions);
}

test('every option of one value has a flag, but for the targets, which are a list', () => {
  const flags = addTrainFlags(new Command('train')).options;
  const paths = Object.keys(trainOptionRules).filter((path) => !path.startsWith('targets.'));
  expect(flags).toHaveLength(paths.length + 3);
  expect(new Set(flags.map(({ long }) => long)).size).toBe(flags.length);
});

describe('trainOptionsOf', () => {
  test('nothing given changes nothing', () => expect(parse()).toEqual(defaultTrainOptions));

  test('numbers, choices, switches, text, in their places', () => {
    const options = parse([
      '--optimizer',
      'adamw8bit',
      '--weight-decay',
      '0.05',
      '--lr-scheduler',
      'cosine_with_restarts',
      '--lr-scheduler-num-cycles',
      '3',
      '--lr-warmup-steps',
      '0.1',
      '--min-snr-gamma',
      '5',
      '--loss-type',
      'smooth_l1',
      '--shuffle-caption',
      '--class-prompt',
      'a dog',
      '--prediction-type',
      'v_prediction',
      '--epochs',
      '10',
      '--network-dropout',
      '0.1',
      '--mixed-precision',
      'fp16',
    ]);
    expect(options).toEqual({
      ...defaultTrainOptions,
      optimizer: { ...defaultTrainOptions.optimizer, name: 'adamw8bit', weightDecay: 0.05 },
      lrScheduler: { ...defaultTrainOptions.lrScheduler, name: 'cosineWithRestarts', cycles: 3, warmupSteps: 0.1 },
      minSnrGamma: 5,
      loss: { ...defaultTrainOptions.loss, kind: 'smoothL1' },
      shuffleTags: true,
      priorPreservation: { ...defaultTrainOptions.priorPreservation, classPrompt: 'a dog' },
      predictionType: 'v_prediction',
      maxTrainEpochs: 10,
      dropout: { ...defaultTrainOptions.dropout, network: 0.1 },
      mixedPrecision: 'fp16',
    });
  });

  test('lists', () => {
    const options = parse([
      '--targets',
      'attention, feed-forward',
      '--block-lr',
      'up_blocks.1=0.5, mid_block=0',
      '--validation-timesteps',
      '100,900',
      '--validate-every',
      '50',
    ]);
    expect(options.targets).toEqual({ attention: true, feedForward: true, projections: false, convolutions: false });
    expect(options.blockLearningRates).toEqual({ 'up_blocks.1': 0.5, mid_block: 0 });
    expect(options.validation).toMatchObject({ timesteps: [100, 900], everySteps: 50 });
  });

  test.each([
    [['--optimizer', 'sgd'], /Allowed choices are adamw, adamw8bit, lion, prodigy, adafactor/],
    [['--rank', 'much'], /A whole number is wanted/],
    [['--targets', 'attention,convs'], /convs is none of attention, feed-forward, projections, convolutions/],
    [['--block-lr', 'mid_block'], /BLOCK=FACTOR is wanted/],
  ])('%j is refused', (args, said) => expect(() => parse(args)).toThrow(said));
});
