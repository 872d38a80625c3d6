import { Combine } from 'lucide-react';
import { useState } from 'react';
import type { ToolLora } from '../../../store/loraTools.ts';
import { explainNumber } from '../../../store/trainForm.ts';
import { TextField } from '../../components/Field.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { CombineDialog } from './CombineDialog.tsx';
import { useToolLoras, weightedInputs, WeightedPicks, type Weights } from './WeightedPicks.tsx';

/** Adds several LoRAs up into one file, each times its weight. */
export function MergeDialog({ lora, onClose }: { readonly lora: ToolLora; readonly onClose: () => void }) {
  const loras = useToolLoras();
  const merged = useStudio((state) => state.lorasMerged);
  const [weights, setWeights] = useState<Weights>({ [lora.key]: 1 });
  const [rank, setRank] = useState('');
  const [title, setTitle] = useState('Merged');
  const isExact = rank.trim() === '';
  const problem = isExact ? null : explainNumber(rank, { label: 'Rank', min: 1, max: 1024, integer: true });
  const inputs = weightedInputs(loras, weights);
  return (
    <CombineDialog
      title="Merge into one LoRA"
      detail="Each is added times its weight. Without a rank nothing is lost: the ranks add up."
      action={{ label: `Merge ${inputs.length}`, icon: Combine }}
      wish={JSON.stringify([weights, rank, title])}
      ready={problem === null && inputs.length > 0 && title.trim() !== ''}
      work={(write) => merged(inputs, isExact ? null : Number(rank), title, write)}
      onClose={onClose}
      picks={<WeightedPicks loras={loras} weights={weights} onChange={setWeights} />}
    >
      <TextField label="Title" value={title} onChange={setTitle} />
      <TextField
        label="Largest rank"
        term="rank"
        value={rank}
        placeholder="as it comes: nothing is lost"
        error={problem ?? undefined}
        onChange={setRank}
      />
    </CombineDialog>
  );
}
