// Plan: a checkpoint comes back bit for bit (NaN, -0 and denormals too) and always as the same file; any byte that is changed and any cut
// is found out; the newest whole one is found behind damaged ones.
import { describe, expect, test } from 'vitest';
import { newestCheckpoint } from './resume.ts';
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from '../trainer/checkpoint.ts';

function checkpoint(globalStep = 7): Checkpoint {
  return {
    position: { globalStep, learningRateFactor: 0.5, rollbacks: [3] },
    state: new Map<string, Int32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>>([
      ['values.0', new Uint8Array(Float32Array.of(1.5, -0, 1e-45, NaN).buffer)],
      ['optimizer.steps', Int32Array.of(-1, 2 ** 31 - 1)],
      ['optimizer.0', Uint8Array.of(0, 255, 7)],
    ]),
    history: {
      losses: Float32Array.of(0.5, 0.25),
      steps: Int32Array.of(1, 2),
      images: Int32Array.of(0, 3),
      timesteps: Int32Array.of(999, 0),
      exampleLosses: Float32Array.of(0.5, 0.25),
    },
  };
}

describe('the file of a checkpoint', () => {
  test('comes back bit for bit, and the same checkpoint is the same file', async () => {
    const bytes = await encodeCheckpoint(checkpoint());
    expect(await encodeCheckpoint(checkpoint())).toEqual(bytes);
    const before = bytes.slice();
    expect(await decodeCheckpoint('c', bytes)).toEqual(checkpoint());
    expect(bytes).toEqual(before);
  });

  test('an untrained run has one too', async () => {
    const none = { losses: new Float32Array(), exampleLosses: new Float32Array() };
    const empty = { ...none, steps: new Int32Array(), images: new Int32Array(), timesteps: new Int32Array() };
    const first: Checkpoint = { ...checkpoint(0), history: empty };
    expect(await decodeCheckpoint('c', await encodeCheckpoint(first))).toEqual(first);
  });

  test('any changed byte is found out', async () => {
    const bytes = await encodeCheckpoint(checkpoint());
    for (let at = 0; at < bytes.length; at += 3) {
      const changed = bytes.slice();
      changed[at]! ^= 1 << (at % 8);
      await expect(decodeCheckpoint('c', changed)).rejects.toMatchObject({ code: 'checkpoint-damaged' });
    }
  });

  test('so is any cut', async () => {
    const bytes = await encodeCheckpoint(checkpoint());
    for (const length of [0, 4, 8, 100, bytes.length - 1]) {
      await expect(decodeCheckpoint('c', bytes.slice(0, length))).rejects.toMatchObject({ code: 'checkpoint-damaged' });
    }
  });

  test('says what is wrong and what happens', async () => {
    const bytes = await encodeCheckpoint(checkpoint());
    bytes[bytes.length - 1]! ^= 1;
    await expect(decodeCheckpoint('of step 7', bytes)).rejects.toMatchObject({
      message: 'The checkpoint of step 7 is damaged: its checksum does not fit its bytes.',
      remedy: 'The checkpoint before it is used; the steps in between are trained again.',
    });
  });
});

describe('the checkpoint to go on from', () => {
  test('is the newest that is whole', async () => {
    const files = new Map<number, Uint8Array<ArrayBuffer>>();
    for (const step of [10, 20, 30, 40]) files.set(step, await encodeCheckpoint(checkpoint(step)));
    files.set(40, files.get(40)!.slice(0, 200));
    const found = await newestCheckpoint([10, 20, 30, 40], async (step) => {
      if (step === 30) throw new DOMException('The disk lost it.', 'NotReadableError');
      return files.get(step);
    });
    expect(found.checkpoint).toEqual(checkpoint(20));
    expect(found.damaged.map(({ globalStep, error }) => [globalStep, error.facts['reason']])).toMatchObject([
      [40, expect.stringMatching(/./)],
      [30, 'the browser cannot read it'],
    ]);
  });

  test('is none where none is whole', async () => {
    expect((await newestCheckpoint([10], async () => new Uint8Array(3))).checkpoint).toBeNull();
    expect((await newestCheckpoint([], async () => undefined)).checkpoint).toBeNull();
  });
});
