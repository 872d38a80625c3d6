import { usesShortcuts } from '../../../core/shortcuts.ts';
import { generateFormErrors } from '../../../store/generateForm.ts';
import { workOfForm } from '../../../store/fullQuality.ts';
import { hasHalfPrecision } from '../../../store/gpu.ts';
import { sizesInUse } from '../../../store/modelDefaults.ts';
import { Disclosure } from '../../components/Disclosure.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { ChoiceField, NumberField } from './fields.tsx';

/** Ways to draw with less work, with what they save and what they cost. */
export function Faster() {
  const isOn = useStudio(({ generateForm: { guidanceStart, guidanceEnd, reuseInterval } }) =>
    usesShortcuts({
      guidanceStart: Number(guidanceStart),
      guidanceEnd: Number(guidanceEnd),
      reuseInterval: Number(reuseInterval),
    }),
  );
  const steps = useStudio((state) => state.generateForm.steps);
  const work = useStudio((state) => {
    const {
      guidanceStart,
      guidanceEnd,
      reuseInterval,
      steps: count,
    } = generateFormErrors(state.generateForm, sizesInUse(state));
    return [guidanceStart, guidanceEnd, reuseInterval, count].some((error) => error !== undefined)
      ? null
      : workOfForm(state.generateForm, state.selectedModelId);
  });
  const precision = useStudio((state) => state.generateForm.mixedPrecision);
  const canHalve = useStudio(hasHalfPrecision);
  const percent = work === null ? null : `${Math.round(100 * work)} %`;
  const aside = [isOn && percent !== null && `${percent} of the work`, precision === 'fp16' && 'fp16'].filter(Boolean);
  return (
    <Disclosure title="Faster" aside={aside.join(', ') || (isOn ? '' : 'off')} startOpen={isOn || precision === 'fp16'}>
      <div className="pair">
        <NumberField field="guidanceStart" term="guidanceInterval" />
        <NumberField field="guidanceEnd" />
      </div>
      <NumberField field="reuseInterval" term="reuse" suffix="steps" />
      <p className="field-hint" data-testid="work">
        {!isOn && (
          <>
            Off: every step is computed in full. Guidance from and to are shares of the steps; those outside cost half.
            The whole UNet need not run at every step either. Both change the picture.
          </>
        )}
        {isOn && work !== null && percent !== null && (
          <>
            The UNet does {percent} of its work at {steps} steps: {(1 / work).toFixed(1)} times fewer multiplications.
            The picture changes with it. Draw it, then choose “Compare with full quality” in its menu to see how much.
          </>
        )}
      </p>
      <ChoiceField
        field="mixedPrecision"
        label="Mixed precision"
        term="mixedPrecision"
        // What was brought along from elsewhere stays open, to be taken back.
        disabled={!canHalve && precision === 'no'}
        hint={canHalve ? undefined : 'This GPU, or this browser on it, cannot compute in 16 bits.'}
        options={[
          ['no', 'off'],
          ['fp16', 'fp16'],
        ]}
      />
    </Disclosure>
  );
}
