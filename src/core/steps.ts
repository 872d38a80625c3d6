/** Long work in small steps: a generator yields the share that is done, 0..1, so that whoever runs it may do other things in between. */
export type Steps<T> = Generator<number, T, void>;

/** All of it at once. */
export function finish<T>(steps: Steps<T>): T {
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

/** Part of a larger work, whose shares lie between `from` and `to`. */
export function* within<T>(from: number, to: number, steps: Steps<T>): Steps<T> {
  let step = steps.next();
  for (; !step.done; step = steps.next()) yield from + (to - from) * step.value;
  return step.value;
}
