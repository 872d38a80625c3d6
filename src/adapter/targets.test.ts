// Plan: over every layer of SD1.5, each kind names as many modules as kohya's script trains, and no kind a layer of another; learning rates
// by block: the longest path counts, a path ends at a dot, 0 freezes; the text encoder's own rate.
import { describe, expect, test } from 'vitest';
import { defaultTrainOptions, type TargetOptions } from '../core/trainOptions.ts';
import { sd15Modules } from '../models/adaptable.ts';
import { isTrained, learningRateMultiplier, type TrainedPart } from './targets.ts';

const known = sd15Modules();
const none: TargetOptions = { attention: false, feedForward: false, projections: false, convolutions: false };

function trained(targets: Partial<TargetOptions>, changes: Partial<TrainedPart> = {}): string[] {
  const options = { ...defaultTrainOptions, targets: { ...none, ...targets }, ...changes };
  return known.filter(({ module, target }) => isTrained(module, target, options)).map(({ module }) => module);
}

describe('targets', () => {
  test("kohya's 192 modules of the UNet", () => {
    expect(trained({ attention: true })).toHaveLength(128);
    expect(trained({ feedForward: true })).toHaveLength(32);
    expect(trained({ projections: true })).toHaveLength(32);
    expect(trained({ attention: true, feedForward: true, projections: true })).toHaveLength(192);
  });

  test("kohya's 72 modules of the text encoder; its attention at least", () => {
    const textEncoder = { train: true, learningRate: 1e-5 };
    expect(trained({}, { textEncoder })).toHaveLength(48);
    expect(trained({ feedForward: true }, { textEncoder })).toHaveLength(32 + 72);
  });

  test('LoCon adds ResNet blocks and the changes of size, not the convolutions at the ends', () => {
    const convolutions = trained({ convolutions: true });
    // 22 ResNet blocks of conv1, conv2 and time_emb_proj, 14 of them with a shortcut; three halvings, three doublings.
    expect(convolutions).toHaveLength(22 * 3 + 14 + 6);
    expect(convolutions).toContain('down_blocks.0.downsamplers.0.conv');
    expect(convolutions.filter((module) => /^(conv_|time_embedding)/.test(module))).toEqual([]);
  });

  test('kinds are disjoint', () => {
    const kinds: readonly (keyof TargetOptions)[] = ['attention', 'feedForward', 'projections', 'convolutions'];
    const all = kinds.flatMap((kind) => trained({ [kind]: true }));
    expect(new Set(all).size).toBe(all.length);
  });
});

describe('learning rates', () => {
  const options: TrainedPart = {
    ...defaultTrainOptions,
    learningRate: 1e-4,
    textEncoder: { train: true, learningRate: 2e-5 },
    blockLearningRates: { 'up_blocks.1': 0.5, 'up_blocks.1.attentions.0': 2, mid_block: 0, 'down_blocks.1': 3 },
  };

  test.each([
    ['up_blocks.1.attentions.1.proj_in', 0.5],
    ['up_blocks.1.attentions.0.proj_in', 2],
    ['up_blocks.2.attentions.0.proj_in', 1],
    ['down_blocks.10.attentions.0.proj_in', 1],
  ])('%s: times %f', (module, factor) => {
    expect(learningRateMultiplier(module, 'unet', options)).toBe(factor);
  });

  test('the text encoder has a rate of its own', () => {
    const module = 'text_model.encoder.layers.0.self_attn.q_proj';
    expect(learningRateMultiplier(module, 'textEncoder', options)).toBeCloseTo(0.2, 12);
  });

  test('0 freezes a block', () => {
    const module = 'mid_block.attentions.0.transformer_blocks.0.attn1.to_q';
    expect(isTrained(module, 'unet', options)).toBe(false);
    expect(isTrained(module, 'unet', { ...options, blockLearningRates: {} })).toBe(true);
  });
});
