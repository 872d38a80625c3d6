/** `npm run fuzz [COUNT] [FIRST]`: the nightly run, 100,000 mutated files. Exits 1 if one of them is neither read nor refused. */
import { fuzz } from './fuzz.ts';

const [count = 100_000, first = 0] = process.argv.slice(2).map(Number);
const { files, read, refused, failures } = await fuzz(count, first);
for (const { target, number, what } of failures) process.stdout.write(`${target} ${number}: ${what}\n`);
process.stdout.write(`${files} mutated files: ${read} read, ${refused} refused, ${failures.length} failed\n`);
process.exitCode = failures.length > 0 ? 1 : 0;
