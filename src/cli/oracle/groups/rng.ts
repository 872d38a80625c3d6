/** Random numbers of a torch generator on the CPU. */
import { TorchGenerator } from '../../../core/rng.ts';
import type { Replay } from './types.ts';

type Draw = readonly [kind: 'randn' | 'rand' | 'randint' | 'randperm', count: number];

/** The bound of every recorded randint. */
const randintBound = 1000;

export async function replayRng({ oracleCase, check, input }: Replay): Promise<boolean> {
  const { params, roles } = oracleCase;
  const seed = Number(params['seed']);
  for (const role of Object.keys(roles)) {
    const { shape } = await input(role);
    if (role.startsWith('randn.')) {
      await check.compare(role, normals(role, seed));
    } else if (role === 'sequence') {
      const generator = new TorchGenerator(seed);
      await check.compare(
        role,
        (params['draws'] as readonly Draw[]).flatMap((draw) => drawn(generator, draw)),
      );
    } else if (role.endsWith('_generators')) {
      const one = [1, ...shape.slice(1)];
      const seeds = params['seeds'] as readonly number[];
      await check.compare(
        role,
        seeds.flatMap((each) => Array.from(new TorchGenerator(each).randn(one))),
      );
    } else if (role === 'rand' || role === 'randint' || role === 'randperm') {
      await check.compare(role, drawn(new TorchGenerator(seed), [role, shape[0] ?? 0]));
    } else {
      return false;
    }
  }
  return true;
}

/** The draw that a role `randn.SHAPE`, `randn.SHAPE.firstN` or `randn.SHAPE.lastN` names. */
function normals(role: string, seed: number): Float32Array {
  const [, sizes = '', part = ''] = role.split('.');
  const values = new TorchGenerator(seed).randn(sizes.split('x').map(Number));
  const [, end, count] = /^(first|last)(\d+)$/.exec(part) ?? [];
  if (end === 'first') return values.slice(0, Number(count));
  return end === 'last' ? values.slice(-Number(count)) : values;
}

function drawn(generator: TorchGenerator, [kind, count]: Draw): number[] {
  return Array.from(kind === 'randint' ? generator.randint(count, randintBound) : generator[kind](count));
}
