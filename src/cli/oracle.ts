/** `npm run oracle -- DIR... [--only GROUP]`: replays recorded numbers of the real diffusers and compares. */
import { Command } from 'commander';
import { openNodeGpu } from './nodeGpu.ts';
import { replayPack, type CaseResult } from './oracle/replay.ts';
import { runCommand } from './exit.ts';
import { repeated } from './options.ts';

const program = new Command('oracle')
  .description('Replays packs of numbers that were recorded from the real diffusers, one line a case.')
  .argument('<dirs...>', 'folders with goldens.json (or cases.json of a tokenizer)')
  .option('--only <group>', 'only cases of this group, or the case of this id (may be repeated)', repeated, [])
  .action((dirs: string[], { only }: { only: string[] }) =>
    runCommand(async () => {
      const { close } = await openNodeGpu();
      const counts = { pass: 0, fail: 0, unsupported: 0 };
      try {
        for (const dir of dirs) {
          await replayPack(dir, only, (result) => {
            counts[result.outcome]++;
            process.stdout.write(`${line(result)}\n`);
          });
        }
      } finally {
        close();
      }
      process.stdout.write(`${counts.pass} pass, ${counts.fail} fail, ${counts.unsupported} unsupported\n`);
      if (counts.pass + counts.fail + counts.unsupported === 0) {
        process.stderr.write('No case was found: check the folder and --only.\n');
        return 1;
      }
      return counts.fail > 0 ? 1 : 0;
    }),
  );

function line({ id, outcome, maxAbsError, tolerance, note }: CaseResult): string {
  const number = (value: number | null): string => (value === null ? '-' : value.toExponential(2)).padStart(9);
  return `${id.padEnd(34)} ${number(maxAbsError)} ${number(tolerance)}  ${outcome}${note === '' ? '' : `  ${note}`}`;
}

await program.parseAsync();
