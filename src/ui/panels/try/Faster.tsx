import { usesShortcuts } from '../../../core/shortcuts.ts';
import { generateFormErrors } from '../../../store/generateForm.ts';
import { workOfForm } from '../../../store/fullQuality.ts';
import { sizesInUse } from '../../../store/modelDefaults.ts';
import { Disclosure } from '../../components/Disclosure.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { NumberField } from './fields.tsx';

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
  const percent = work === null ? null : `${Math.round(100 * work)} %`;
  const aside = !isOn ? 'off' : percent === null ? '' : `${percent} of the work`;
  return (
    <Disclosure title="Faster" aside={aside} startOpen={isOn}>
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
    </Disclosure>
  );
}
