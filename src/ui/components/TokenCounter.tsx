import type { TokenCount } from '../../worker/protocol.ts';
import { useTokenCount } from '../hooks/useTokenCount.ts';
import { Hint } from './Info.tsx';

type Chunk = TokenCount['chunks'][number];

/** How full a prompt is: a bar for each chunk that the text encoder reads, with its words on hover and focus. */
export function TokenCounter({ prompt, label }: { readonly prompt: string; readonly label: string }) {
  const count = useTokenCount(prompt);
  if (count === null || prompt === '') return null;
  const { tokens, chunks } = count;
  return (
    <fieldset className="token-counter" aria-label={`Tokens of the ${label}`} data-testid="token-counter">
      {chunks.map((chunk, index) => (
        <Hint key={index} text={<ChunkText chunk={chunk} index={index} of={chunks.length} />}>
          <button
            type="button"
            className="token-chunk"
            aria-label={`Chunk ${index + 1} of ${chunks.length}: ${chunk.tokens} of ${chunk.capacity} tokens`}
          >
            <span className="token-fill" style={{ width: `${(100 * chunk.tokens) / chunk.capacity}%` }} />
          </button>
        </Hint>
      ))}
      <span className="token-sum">
        {chunks.length === 1 ? `${tokens}/${chunks[0]?.capacity}` : `${tokens} tokens, ${chunks.length} chunks`}
      </span>
    </fieldset>
  );
}

function ChunkText({ chunk, index, of }: { readonly chunk: Chunk; readonly index: number; readonly of: number }) {
  return (
    <>
      <strong>{of === 1 ? 'The model reads' : `Chunk ${index + 1} of ${of} reads`}</strong>
      <span className="token-words">
        {chunk.spans.map(({ text, weight }, i) => (
          <span key={i} data-weighted={weight !== 1}>
            {text}
            {weight !== 1 && <small> ×{Number(weight.toFixed(2))}</small>}{' '}
          </span>
        ))}
        {chunk.spans.length === 0 && 'nothing'}
      </span>
    </>
  );
}
