import { ArrowLeftRight, Download, Grid3x3, X } from 'lucide-react';
import { useState } from 'react';
import { useShallow } from 'zustand/react/shallow';
import { formatDuration, formatEta, plural } from '../../../store/format.ts';
import { type AxisForm, type AxisName, type Plot, plotEta, planOf } from '../../../store/plot.ts';
import { axisHints, axisLabels } from '../../../store/plotAxes.ts';
import { loraName } from '../../../store/shelf.ts';
import { Field, TextField } from '../../components/Field.tsx';
import { Hint } from '../../components/Info.tsx';
import { Lightbox } from '../../components/Lightbox.tsx';
import { ProgressBar } from '../../components/ProgressBar.tsx';
import { useElapsed } from '../../hooks/useElapsed.ts';
import { useStudio } from '../../StudioContext.tsx';
import { PlotGrid } from './PlotGrid.tsx';
import { toPlainError } from '../../../core/errors.ts';

const kinds = [['none', 'Nothing'], ...Object.entries(axisLabels)] as [AxisForm['kind'], string][];

function Axis({ axis }: { readonly axis: AxisName }) {
  const form = useStudio((state) => state.plotForm[axis]);
  const edited = useStudio((state) => state.plotAxisEdited);
  const loras = useStudio(
    useShallow((state) =>
      state.shelf.map(({ source }) => loraName(state, source)).filter((name): name is string => name !== null),
    ),
  );
  const runId = useStudio((state) => {
    const source = state.shelf.filter((lora) => loraName(state, lora.source) !== null)[form.loraIndex]?.source;
    return source?.kind === 'run' ? source.runId : null;
  });
  const steps = useStudio((state) => (runId === null ? undefined : state.runSteps[runId]));
  const stepsNeeded = useStudio((state) => state.runStepsNeeded);
  const ofLora = form.kind === 'lora-weight' || form.kind === 'training-step';
  return (
    <div className={ofLora && loras.length > 1 ? 'axis axis-lora' : 'axis'}>
      <Field label={`${axis.toUpperCase()} axis`}>
        {(control) => (
          <select
            {...control}
            className="select"
            value={form.kind}
            onChange={(event) => {
              const kind = event.target.value as AxisForm['kind'];
              if (kind === 'training-step' && runId !== null) void stepsNeeded(runId);
              edited(axis, { kind, values: '' });
            }}
          >
            {kinds.map(([kind, label]) => (
              <option key={kind} value={kind}>
                {label}
              </option>
            ))}
          </select>
        )}
      </Field>
      {form.kind !== 'none' && (
        <TextField
          label={`${axis.toUpperCase()} values`}
          value={form.values}
          placeholder={axisHints[form.kind]}
          hint={
            form.kind === 'training-step' && steps !== undefined && steps.length > 0 ? (
              <button type="button" className="link" onClick={() => edited(axis, { values: steps.join(', ') })}>
                Kept: {steps.join(', ')}
              </button>
            ) : undefined
          }
          onChange={(values) => edited(axis, { values })}
        />
      )}
      {ofLora && loras.length > 1 && (
        <Field label="Of">
          {(control) => (
            <select
              {...control}
              className="select"
              value={form.loraIndex}
              onChange={(event) => edited(axis, { loraIndex: Number(event.target.value) })}
            >
              {loras.map((name, index) => (
                <option key={index} value={index}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
    </div>
  );
}

/** How many pictures the axes make together, or what is wrong with them. */
function useCellCount(): number | string {
  return useStudio((state) => {
    try {
      return planOf(state).cells.length;
    } catch (error) {
      const { message, remedy } = toPlainError(error);
      return `${message} ${remedy}`;
    }
  });
}

function Progress({ plot }: { readonly plot: Plot }) {
  const cancelled = useStudio((state) => state.plotCancelled);
  const elapsed = useElapsed(plot.startedAt);
  const { done, cells, cancelling } = plot;
  return (
    <div className="plot-progress">
      <span>
        Picture {Math.min(done + 1, cells.length)} of {cells.length}
      </span>
      <ProgressBar label="Drawing the plot" value={done / cells.length} />
      <span className="adding-eta">{formatEta(plotEta(plot, elapsed))}</span>
      <button type="button" className="button button-small" disabled={cancelling} onClick={cancelled}>
        <X size={14} aria-hidden="true" /> {cancelling ? 'Cancelling…' : 'Cancel'}
      </button>
    </div>
  );
}

/** Two or three settings against one another: axes, the grid that fills, one picture of all of it. */
export function PlotStage() {
  const plot = useStudio((state) => state.plot);
  const count = useCellCount();
  const pressed = useStudio((state) => state.plotPressed);
  const swapped = useStudio((state) => state.plotAxesSwapped);
  const saved = useStudio((state) => state.plotSaved);
  const [open, setOpen] = useState<number | null>(null);
  const running = plot !== null && plot.endedAt === null;
  const cell = open === null ? undefined : plot?.cells[open];
  const done = plot?.cells.filter(({ png }) => png !== null).length ?? 0;
  return (
    <div className="plot">
      <section className="card plot-form" aria-label="Axes">
        <div className="axes">
          <Axis axis="x" />
          <Axis axis="y" />
          <Axis axis="z" />
        </div>
        <div className="plot-foot">
          {typeof count === 'number' ? (
            <span>{plural(count, 'picture')}; everything else as on the left</span>
          ) : (
            <span className="warn-text">{count}</span>
          )}
          <span className="toolbar-gap" />
          <Hint text="Swap X and Y">
            <button type="button" className="icon-button" aria-label="Swap X and Y" onClick={swapped}>
              <ArrowLeftRight size={15} aria-hidden="true" />
            </button>
          </Hint>
          {plot?.image && (
            <button type="button" className="button" onClick={saved}>
              <Download size={14} aria-hidden="true" /> Save as one image
            </button>
          )}
          <button
            type="button"
            className="button button-primary"
            disabled={running || typeof count !== 'number'}
            onClick={() => void pressed()}
          >
            <Grid3x3 size={14} aria-hidden="true" /> Draw the plot
          </button>
        </div>
        {running && <Progress plot={plot} />}
        {plot !== null && !running && (
          <p className="plot-note" data-testid="plot-done">
            {done} of {plural(plot.cells.length, 'picture')} drawn in{' '}
            {formatDuration(((plot.endedAt ?? plot.startedAt) - plot.startedAt) / 1000)}
          </p>
        )}
      </section>
      {plot !== null && <PlotGrid plot={plot} onOpen={setOpen} />}
      <Lightbox
        blob={cell?.png ?? null}
        title={cell?.request.prompt ?? ''}
        detail={cell?.parameters.split('\n').at(-1) ?? ''}
        onClose={() => setOpen(null)}
        onPrevious={open !== null && open > 0 ? () => setOpen(open - 1) : undefined}
        onNext={open !== null && plot?.cells[open + 1]?.png ? () => setOpen(open + 1) : undefined}
      />
    </div>
  );
}
