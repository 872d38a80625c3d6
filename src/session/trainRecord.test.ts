// Plan: entries come back in order past the first growth; restoring drops what came after the step; ids are put to indices.
import { expect, test } from 'vitest';
import { TrainRecorder } from './trainRecord.ts';

const entry = (step: number) => ({ image: step % 3, timestep: (7 * step) % 1000, loss: step / 1024 });

function recorded(steps: number): TrainRecorder {
  const recorder = new TrainRecorder(['a', 'b', 'c']);
  for (let step = 1; step <= steps; step++) recorder.add(step, [entry(step), entry(step + 1)]);
  return recorder;
}

test('entries come back in order, however many', () => {
  const { steps, images, timesteps, losses } = recorded(400).read();
  expect([steps.length, images.length, timesteps.length, losses.length]).toEqual([800, 800, 800, 800]);
  expect([steps[799], images[799], timesteps[799], losses[799]]).toEqual([400, 401 % 3, (7 * 401) % 1000, 401 / 1024]);
});

test('restoring to a step and going on equals never having gone further', () => {
  const recorder = recorded(400);
  recorder.restore(recorded(390).read(), 350);
  for (let step = 351; step <= 380; step++) recorder.add(step, [entry(step), entry(step + 1)]);
  expect(recorder.read()).toEqual(recorded(380).read());
});

test('the page hears ids', () => {
  expect(recorded(0).named([{ image: 2, timestep: 5, loss: 0.5 }])).toEqual([{ imageId: 'c', timestep: 5, loss: 0.5 }]);
});
