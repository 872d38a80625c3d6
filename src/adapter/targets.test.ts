// Plan: over every layer of SD1.5, each kind names as many modules as kohya's script trains; no kind names a layer of another; blocks.
import { describe, expect, test } from 'vitest';
import { sd15Modules } from '../models/adaptable.ts';
import { blockOf, unetBlocks } from './blocks.ts';
import { isTarget, type TargetKind } from './targets.ts';

const known = sd15Modules();

function named(part: 'unet' | 'textEncoder', kinds: readonly TargetKind[]): string[] {
  return known
    .filter((layer) => layer.target === part && isTarget(layer.module, part, kinds))
    .map(({ module }) => module);
}

describe('targets', () => {
  test("kohya's counts: 192 modules of the UNet, 72 of the text encoder", () => {
    expect(named('unet', ['attention'])).toHaveLength(128);
    expect(named('unet', ['feedForward'])).toHaveLength(32);
    expect(named('unet', ['projections'])).toHaveLength(32);
    expect(named('unet', ['attention', 'feedForward', 'projections'])).toHaveLength(192);
    expect(named('textEncoder', ['attention'])).toHaveLength(48);
    expect(named('textEncoder', ['attention', 'feedForward'])).toHaveLength(72);
    expect(named('textEncoder', ['projections', 'convolutions'])).toHaveLength(0);
  });

  test('LoCon adds resnets and the changes of size, not the convolutions at the ends', () => {
    const convolutions = named('unet', ['convolutions']);
    // 22 resnets of conv1, conv2 and time_emb_proj, 14 of them with a shortcut; three halvings, three doublings.
    expect(convolutions).toHaveLength(22 * 3 + 14 + 6);
    expect(convolutions).toContain('down_blocks.0.downsamplers.0.conv');
    expect(convolutions.filter((module) => /^(conv_|time_embedding)/.test(module))).toEqual([]);
  });

  test('kinds are disjoint', () => {
    const kinds: readonly TargetKind[] = ['attention', 'feedForward', 'projections', 'convolutions'];
    const all = kinds.flatMap((kind) => named('unet', [kind]));
    expect(new Set(all).size).toBe(all.length);
  });
});

test('every trained module of the UNet lies in one of the nine blocks', () => {
  const kinds: readonly TargetKind[] = ['attention', 'feedForward', 'projections', 'convolutions'];
  expect([...new Set(named('unet', kinds).map(blockOf))]).toEqual([
    ...unetBlocks.slice(0, 4),
    'mid_block',
    ...unetBlocks.slice(5),
  ]);
  expect(blockOf('conv_in')).toBeNull();
});
