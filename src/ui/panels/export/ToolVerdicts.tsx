import { CircleCheck, CircleMinus, CircleX } from 'lucide-react';
import type { ToolVerdict } from '../../../worker/protocol.ts';

const icons = { yes: CircleCheck, partly: CircleMinus, no: CircleX };
const words = { yes: 'takes it', partly: 'takes it in part', no: 'does not take it' };

/** Which tools take a file, each by its own rules, with the reason where one does not. */
export function ToolVerdicts({ tools }: { readonly tools: readonly ToolVerdict[] }) {
  return (
    <ul className="verdicts" aria-label="Which tools take this file">
      {tools.map(({ tool, takes, reason }) => {
        const Icon = icons[takes];
        return (
          <li key={tool} className={`verdict verdict-${takes}`}>
            <Icon size={16} aria-hidden="true" />
            <span>
              <strong>{tool}</strong> <span className="visually-hidden">{words[takes]}: </span>
              {takes !== 'yes' && <small>{reason}</small>}
            </span>
          </li>
        );
      })}
    </ul>
  );
}
