/** Replays a whole pack, one line a case. */
import { join } from 'node:path';
import { toPlainError } from '../../core/errors.ts';
import { readText } from '../../core/files.ts';
import { defined } from '../../core/invariant.ts';
import { createClipTokenizer } from '../../models/tokenizer.ts';
import { folderTree } from '../nodeFiles.ts';
import { Checker, maxAbsError } from './check.ts';
import { groupsOf } from './groups.ts';
import { OracleModels } from './models.ts';
import { OraclePack, type OracleCase } from './pack.ts';

export type Outcome = 'pass' | 'fail' | 'unsupported';

export interface CaseResult {
  readonly id: string;
  readonly outcome: Outcome;
  readonly maxAbsError: number | null;
  readonly tolerance: number | null;
  /** The output that came nearest to its tolerance, or what went wrong. */
  readonly note: string;
}

/** Replays the pack in `folder` (`only`: groups and ids, or all), handing each result to `report`. Groups that are not known are unsupported. */
export async function replayPack(
  folder: string,
  only: readonly string[],
  report: (result: CaseResult) => void,
): Promise<void> {
  const tree = await folderTree(folder);
  if (tree.has('cases.json') && !tree.has('goldens.json')) return replayTokenizer(folder, only, report);
  const pack = await OraclePack.open(folder);
  const models = new OracleModels(pack);
  for (const oracleCase of pack.cases) {
    if (only.length > 0 && !only.includes(oracleCase.group) && !only.includes(oracleCase.id)) continue;
    report(await replayCase(pack, models, oracleCase));
  }
}

async function replayCase(pack: OraclePack, models: OracleModels, oracleCase: OracleCase): Promise<CaseResult> {
  const { id, group, roles } = oracleCase;
  const replay = groupsOf(pack.format)[group];
  if (!replay) return unsupported(id);
  const check = new Checker(pack, oracleCase);
  try {
    const supported = await replay({
      pack,
      models,
      oracleCase,
      check,
      input: (role) => pack.tensor(defined(roles[role], `role ${role} of ${id}`)),
    });
    if (!supported) return unsupported(id);
  } catch (error) {
    const { name, message } = toPlainError(error);
    return { id, outcome: 'fail', maxAbsError: null, tolerance: null, note: `${name}: ${message}` };
  }
  const { maxAbsError: worst, tolerance, pass, where } = check.verdict();
  return { id, outcome: pass ? 'pass' : 'fail', maxAbsError: worst, tolerance, note: where };
}

function unsupported(id: string): CaseResult {
  return { id, outcome: 'unsupported', maxAbsError: null, tolerance: null, note: '' };
}

interface TokenizerCase {
  readonly id: string;
  readonly text: string;
  readonly ids: readonly number[];
  readonly tokens: number;
  readonly tokens_before_truncation: number;
}

/** A pack of tokenizer cases: vocab.json, merges.txt and cases.json in one folder. */
async function replayTokenizer(
  folder: string,
  only: readonly string[],
  report: (result: CaseResult) => void,
): Promise<void> {
  const tree = await folderTree(folder);
  const json = async <T>(path: string): Promise<T> => JSON.parse(await readText(await tree.open(path))) as T;
  const tokenizer = createClipTokenizer({
    vocab: await json<Record<string, number>>('vocab.json'),
    merges: await readText(await tree.open('merges.txt')),
    config: tree.has('tokenizer_config.json') ? await json<Record<string, unknown>>('tokenizer_config.json') : {},
  });
  const { cases } = await json<{ cases: readonly TokenizerCase[] }>('cases.json');
  for (const { id, text, ids, tokens, tokens_before_truncation: before } of cases) {
    if (only.length > 0 && !only.includes(id) && !only.includes('clip-tokenizer')) continue;
    const encoded = tokenizer.encode(text);
    const error = maxAbsError(
      [...encoded.ids, encoded.tokens, encoded.tokensBeforeTruncation],
      [...ids, tokens, before],
    );
    report({
      id,
      outcome: error === 0 ? 'pass' : 'fail',
      maxAbsError: error,
      tolerance: 0,
      note: join('clip-tokenizer', id),
    });
  }
}
