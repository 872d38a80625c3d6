/** Token ids and the text encoder's states. */
import { readTensor } from '../../../gpu/ops.ts';
import { maxAbsError } from '../check.ts';
import type { Replay } from './types.ts';

export async function replayText({ models, oracleCase, check, input }: Replay): Promise<boolean> {
  const encoder = await models.textEncoder();
  const model = await models.model();
  const ids = Int32Array.from((await input('ids')).values);
  const { prompt } = oracleCase.params;
  if (typeof prompt === 'string') check.record('tokens', maxAbsError(model.tokenizer.encode(prompt).ids, ids), 0);
  const output = await encoder.encode([ids], { hiddenStates: true });
  const last = await readTensor(output.lastHiddenState);
  const { lastHiddenState: penultimate } = await encoder.encode([ids], { clipSkip: 2 });
  const width = encoder.config.hiddenSize;
  const eos = ids.indexOf(encoder.config.eosTokenId);
  await check.compare('last_hidden_state', last);
  await check.compare('penultimate', await readTensor(penultimate));
  await check.compare('pooled', last.subarray(eos * width, (eos + 1) * width));
  await check.compare('embeddings', await readTensor(output.hiddenStates[0]!));
  await check.compare('after_layer_0', await readTensor(output.hiddenStates[1]!));
  for (const t of [output.lastHiddenState, penultimate, ...output.hiddenStates]) t.dispose();
  return true;
}
