/** `npm run hub -- DIR [--port N] [--token TOKEN]`: serves a folder of models as a Hub, for the studio's endpoint setting. */
import { stat } from 'node:fs/promises';
import { Command, InvalidArgumentError } from 'commander';
import { startHub } from './server.ts';

function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError('It is a number from 0 to 65535.');
  return port;
}

const program = new Command('hub')
  .description(
    'Serves DIR/<org>/<name>/... through the Hub protocol; a DIR that is itself a model is local/<its name>.',
  )
  .argument('<dir>', 'the folder')
  .option('--port <n>', 'port to listen on; 0 takes a free one', parsePort, 8123)
  .option('--token <token>', 'make every repository private to this token (must begin with hf_)')
  .action(async (dir: string, { port, token }: { port: number; token?: string }) => {
    if (!(await stat(dir).catch(() => undefined))?.isDirectory()) program.error(`There is no folder ${dir}.`);
    try {
      const hub = await startHub({ root: dir, port, ...(token === undefined ? {} : { token }) });
      const ids = await hub.ids();
      console.log(
        `${hub.url} serves ${ids.length === 0 ? 'nothing: there is no <org>/<name> folder' : ids.join(', ')}`,
      );
    } catch (error) {
      program.error(`The Hub cannot start on port ${port}: ${(error as Error).message}`);
    }
  });

await program.parseAsync();
