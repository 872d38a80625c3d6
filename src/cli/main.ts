/** The command line: the same engine as the studio's, in Node. */
import { Command } from 'commander';
import { bakeCommand } from './bakeCommand.ts';
import { convertCommand } from './convertCommand.ts';
import { generateCommand } from './generateCommand.ts';
import { infoCommand } from './infoCommand.ts';
import { jobCommand } from './jobCommand.ts';
import { mergeCommand } from './mergeCommand.ts';
import { resizeCommand } from './resizeCommand.ts';
import { trainCommand } from './trainCommand.ts';

await new Command('loratory')
  .description('Trains Stable Diffusion LoRAs and draws with them, on WebGPU.')
  .showHelpAfterError('(add --help for all options)')
  .addCommand(trainCommand())
  .addCommand(generateCommand())
  .addCommand(jobCommand())
  .addCommand(infoCommand())
  .addCommand(convertCommand())
  .addCommand(mergeCommand())
  .addCommand(resizeCommand())
  .addCommand(bakeCommand())
  .parseAsync();
