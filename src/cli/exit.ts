import { LoratoryError } from '../core/errors.ts';

/**
 * Runs a command and ends the process with its exit code. An error of ours is printed as message and remedy (exit 1), an
 * unexpected one with its stack (exit 70, as sysexits.h calls an internal fault), Ctrl-C ends with 130.
 */
export async function runCommand(command: () => Promise<number>): Promise<void> {
  let code: number;
  try {
    code = await command();
  } catch (error) {
    code = report(error);
  }
  // Dawn keeps threads of its own alive, so the process does not end by itself. Pipes need a moment to drain.
  process.exitCode = code;
  await new Promise<void>((resolve) => {
    process.stdout.write('', () => resolve());
  });
  process.exit(code);
}

function report(error: unknown): number {
  if (error instanceof LoratoryError) {
    process.stderr.write(`\n${error.message}\n${error.remedy}\n`);
    return 1;
  }
  if (error instanceof DOMException && error.name === 'AbortError') {
    process.stderr.write('\nStopped.\n');
    return 130;
  }
  process.stderr.write(`\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 70;
}
