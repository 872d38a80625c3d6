import { Copy, ShieldAlert, ShieldCheck } from 'lucide-react';
import { useMemo, useState } from 'react';
import { formatBytes, plural } from '../../../store/format.ts';
import { aboutFacts, trainingFacts } from '../../../store/headerFacts.ts';
import { tagFrequency } from '../../../store/loraFacts.ts';
import type { LoraReport } from '../../../worker/protocol.ts';
import { Disclosure } from '../../components/Disclosure.tsx';
import { Hint } from '../../components/Info.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { ToolVerdicts } from './ToolVerdicts.tsx';

const compact = new Intl.NumberFormat('en', { maximumSignificantDigits: 3, notation: 'compact' });
const shownTags = 60;

function list(values: readonly number[]): string {
  const short = values.map((value) => String(Number(value.toPrecision(6))));
  return short.length > 6 ? `${short.slice(0, 3).join(', ')} … ${short.at(-1)}` : short.join(', ') || '–';
}

function Hash({ description }: Pick<LoraReport, 'description'>) {
  const { hash, isIntact } = description;
  if (isIntact === null) return <code>{hash}</code>;
  const Icon = isIntact ? ShieldCheck : ShieldAlert;
  return (
    <Hint
      text={
        isIntact
          ? 'The weights are those that the header’s own hash was taken of.'
          : 'The weights are not those that the header’s hash was taken of: the file was changed or damaged.'
      }
    >
      <button type="button" className={isIntact ? 'hash' : 'hash hash-broken'}>
        <code>{hash}</code> <Icon size={14} aria-hidden="true" />
      </button>
    </Hint>
  );
}

function Facts({ report }: { readonly report: LoraReport }) {
  const { description: about, bytes, metadata } = report;
  const facts: readonly (readonly [string, React.ReactNode])[] = [
    ['Network', about.kinds.join(' + ') || 'no LoRA'],
    ['Form', about.form],
    ['Rank', list(about.ranks)],
    ['Alpha', list(about.alphas)],
    ['Layers', `${about.unetModules} UNet, ${about.textEncoderModules} text`],
    ['Numbers', `${compact.format(about.parameters)} in ${about.dtypes.join(', ')}`],
    ['Size', formatBytes(bytes)],
    ['Hash', <Hash key="hash" description={about} />],
  ];
  const thumbnail = metadata['modelspec.thumbnail'];
  return (
    <div className="report-top">
      {thumbnail?.startsWith('data:image/') === true && (
        <img className="report-thumb" src={thumbnail} alt="The thumbnail in the file" />
      )}
      <dl className="metrics">
        {facts.map(([label, value]) => (
          <div className="metric" key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

/** How strongly each block is changed, with its ranks. */
function Blocks({ blocks }: { readonly blocks: LoraReport['description']['blocks'] }) {
  const most = Math.max(...blocks.map(({ norm }) => norm));
  return (
    <section className="card" aria-label="Blocks">
      <div className="card-head">
        <h3>What it changes</h3>
        <span className="card-note">strength by block</span>
      </div>
      <table className="blocks">
        <thead className="visually-hidden">
          <tr>
            <th>Block</th>
            <th>Strength</th>
            <th>Layers</th>
            <th>Rank</th>
          </tr>
        </thead>
        <tbody>
          {blocks.map(({ block, layers, ranks, norm }) => (
            <tr key={block}>
              <th scope="row">{block}</th>
              <td className="blocks-strength">
                <div>
                  <span className="blocks-bar">
                    <span style={{ width: `${(100 * norm) / (most || 1)}%` }} />
                  </span>
                  {norm.toPrecision(3)}
                </div>
              </td>
              <td>{plural(layers, 'layer')}</td>
              <td>rank {list(ranks)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function FactTable({
  title,
  facts,
  empty,
}: {
  readonly title: string;
  readonly facts: readonly (readonly [string, string])[];
  readonly empty: string;
}) {
  return (
    <section className="card" aria-label={title}>
      <div className="card-head">
        <h3>{title}</h3>
      </div>
      {facts.length === 0 ? (
        <p className="card-empty">{empty}</p>
      ) : (
        <dl className="fact-table">
          {facts.map(([label, value]) => (
            <div key={label}>
              <dt>{label}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  );
}

function Tags({ tags }: { readonly tags: readonly (readonly [string, number])[] }) {
  if (tags.length === 0) return null;
  return (
    <section className="card" aria-label="Words of the captions">
      <div className="card-head">
        <h3>Words of the captions</h3>
        <span className="card-note">
          {tags.length > shownTags ? `the ${shownTags} commonest of ${tags.length}` : ''}
        </span>
      </div>
      <ul className="tag-cloud">
        {tags.slice(0, shownTags).map(([tag, count]) => (
          <li key={tag}>
            {tag} <small>{count}</small>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Every entry of the header and every tensor, as they are. */
function Raw({ report }: { readonly report: LoraReport }) {
  const { metadata, tensors } = report;
  const [query, setQuery] = useState('');
  const toastShown = useStudio((state) => state.toastShown);
  const entries = Object.entries(metadata).filter(([key, value]) =>
    `${key} ${value}`.toLowerCase().includes(query.toLowerCase()),
  );
  const copy = (): void => {
    navigator.clipboard.writeText(JSON.stringify(metadata, null, 2)).then(
      () => toastShown({ kind: 'success', title: 'Header copied as JSON' }),
      () => toastShown({ kind: 'error', title: 'The clipboard is not open to this page' }),
    );
  };
  return (
    <section className="card raw" aria-label="As it is in the file">
      <Disclosure title="The header as it is" aside={plural(Object.keys(metadata).length, 'entry', 'entries')}>
        <div className="row">
          <input
            className="input"
            type="search"
            aria-label="Search the header"
            placeholder="Search"
            value={query}
            onChange={(event) => setQuery(event.target.value)}
          />
          <button type="button" className="button" onClick={copy}>
            <Copy size={14} aria-hidden="true" /> Copy as JSON
          </button>
        </div>
        <dl className="raw-list">
          {entries.map(([key, value]) => (
            <div key={key}>
              <dt>{key}</dt>
              <dd>{value.startsWith('data:') ? `${value.slice(0, 40)}… (${value.length} characters)` : value}</dd>
            </div>
          ))}
        </dl>
      </Disclosure>
      <Disclosure title="The tensors" aside={plural(tensors.length, 'tensor')}>
        <div className="raw-tensors">
          <table>
            <tbody>
              {tensors.map(({ name, dtype, shape }) => (
                <tr key={name}>
                  <td>{name}</td>
                  <td>{dtype}</td>
                  <td>{shape.length === 0 ? 'one number' : shape.join(' × ')}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Disclosure>
    </section>
  );
}

/** All that a LoRA file says of itself. */
export function LoraReportView({ report }: { readonly report: LoraReport }) {
  const { description, metadata, tools } = report;
  const tags = useMemo(() => tagFrequency(metadata), [metadata]);
  const about = useMemo(() => aboutFacts(metadata), [metadata]);
  const training = useMemo(() => trainingFacts(metadata), [metadata]);
  return (
    <div className="report" data-testid="lora-report">
      <section className="card report-head" aria-label="The file">
        <Facts report={report} />
        {description.problem !== null && <p className="report-problem">{description.problem}</p>}
      </section>
      <div className="report-columns">
        <div className="report-column">
          {description.blocks.length > 0 && <Blocks blocks={description.blocks} />}
          <FactTable title="How it was trained" facts={training} empty="The header does not say." />
        </div>
        <div className="report-column">
          <section className="card" aria-label="Who takes it">
            <div className="card-head">
              <h3>Who takes this file</h3>
            </div>
            <ToolVerdicts tools={tools} />
          </section>
          {about.length > 0 && <FactTable title="What its maker says" facts={about} empty="" />}
          <Tags tags={tags} />
          {description.unmatched.length > 0 && (
            <section className="card" aria-label="What matches nothing">
              <div className="card-head">
                <h3>What matches nothing</h3>
                <span className="card-note">{plural(description.unmatched.length, 'name')}</span>
              </div>
              <ul className="unmatched-list">
                {description.unmatched.map((name) => (
                  <li key={name}>{name}</li>
                ))}
              </ul>
            </section>
          )}
        </div>
      </div>
      <Raw report={report} />
    </div>
  );
}
