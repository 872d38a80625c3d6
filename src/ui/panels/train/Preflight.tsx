import { Gauge, TriangleAlert, X } from 'lucide-react';
import { formatBytes, formatDuration, formatSpeed } from '../../../store/format.ts';
import { ErrorNote } from '../../components/ErrorNote.tsx';
import { Info } from '../../components/Info.tsx';
import { ProgressBar } from '../../components/ProgressBar.tsx';
import { useStudio } from '../../StudioContext.tsx';

/** What a run with these settings will need, from two trial steps; where it does not fit, buttons for what would be cheaper. */
export function Preflight() {
  const status = useStudio((state) => state.preflightStatus);
  const preflight = useStudio((state) => state.preflight);
  const error = useStudio((state) => state.preflightError);
  const cancelled = useStudio((state) => state.preflightCancelled);
  const closed = useStudio((state) => state.preflightClosed);
  const accepted = useStudio((state) => state.proposalAccepted);
  if (status !== null) {
    return (
      <section className="card preflight" aria-label="Needs">
        <div className="card-head">
          <h3>What will it need?</h3>
          <span className="live-detail">{status.detail}</span>
          <span className="toolbar-gap" />
          <button type="button" className="button button-small" onClick={cancelled}>
            Cancel
          </button>
        </div>
        <ProgressBar label="Trial" value={status.progress} />
      </section>
    );
  }
  if (error !== null) return <ErrorNote error={error} />;
  if (preflight === null) return null;
  const { report } = preflight;
  const facts: readonly (readonly [string, string])[] = [
    ['Time', report.msPerStep === 0 ? '–' : `about ${formatDuration(report.seconds)}`],
    ['Per step', report.msPerStep === 0 ? '–' : formatSpeed(report.msPerStep)],
    ['GPU memory', report.gpuPeakBytes === null ? 'more than there is' : formatBytes(report.gpuPeakBytes)],
    [
      'Storage',
      `${formatBytes(report.diskBytes)}${report.diskFreeBytes === null ? '' : ` of ${formatBytes(report.diskFreeBytes)} free`}`,
    ],
  ];
  return (
    <section className="card preflight" aria-label="Needs">
      <div className="card-head">
        <Gauge size={16} aria-hidden="true" />
        <h3>{report.problem === null ? 'This run fits' : 'This run does not fit'}</h3>
        <Info term="preflight" label="how this was found out" />
        <button type="button" className="icon-button card-close" aria-label="Close what it needs" onClick={closed}>
          <X size={15} aria-hidden="true" />
        </button>
      </div>
      <dl className="metrics">
        {facts.map(([label, value]) => (
          <div className="metric" key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {report.problem !== null && (
        <div className="preflight-problem">
          <p>
            <TriangleAlert size={15} aria-hidden="true" /> {report.problem}
          </p>
          <div className="row">
            {report.proposals.map((proposal) => (
              <button key={proposal.label} type="button" className="button" onClick={() => void accepted(proposal)}>
                {proposal.label}
              </button>
            ))}
          </div>
        </div>
      )}
    </section>
  );
}
