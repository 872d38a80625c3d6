import { sizesInUse } from '../../../store/modelDefaults.ts';
import { Disclosure } from '../../components/Disclosure.tsx';
import { Switch } from '../../components/Switch.tsx';
import { Info } from '../../components/Info.tsx';
import { useStudio } from '../../StudioContext.tsx';
import { Faster } from './Faster.tsx';
import { ChoiceField, NumberField } from './fields.tsx';
import { PreviewDecoder } from './PreviewDecoder.tsx';

/** A switch of the form with its words beside it. */
export function FormSwitch({
  field,
  label,
  children,
}: {
  readonly field: 'preview' | 'hires';
  readonly label: string;
  readonly children?: React.ReactNode;
}) {
  const on = useStudio((state) => state.generateForm[field] === 'on');
  const edited = useStudio((state) => state.generateFieldEdited);
  return (
    <div className="switch-row">
      <span>
        {label} {children}
      </span>
      <Switch label={label} checked={on} onChange={(checked) => edited(field, checked ? 'on' : '')} />
    </div>
  );
}

function Hires() {
  const on = useStudio((state) => state.generateForm.hires === 'on');
  const aside = useStudio((state) => {
    const { hires, hiresScale, width, height } = state.generateForm;
    const { sizeUnit } = sizesInUse(state);
    const enlarged = (side: string): number => Math.floor((Number(side) * Number(hiresScale)) / sizeUnit) * sizeUnit;
    return hires === 'on' ? `${enlarged(width)} × ${enlarged(height)}` : 'off';
  });
  return (
    <Disclosure title="Hires fix" aside={aside} startOpen={on}>
      <FormSwitch field="hires" label="Draw small, enlarge, refine">
        <Info term="hires" label="hires fix" />
      </FormSwitch>
      <div className="pair">
        <NumberField field="hiresScale" suffix="×" />
        <NumberField field="hiresStrength" label="Strength" term="strength" />
        <NumberField field="hiresSteps" label="Steps (0: as many)" />
        <ChoiceField
          field="hiresUpscaler"
          label="Upscaler"
          term="upscaler"
          options={[
            ['latent', 'Latent'],
            ['lanczos', 'Lanczos'],
          ]}
        />
      </div>
    </Disclosure>
  );
}

function batchAside(size: string, count: string): string {
  const pictures = Number(size) * Number(count);
  return pictures > 1 ? `${pictures} pictures` : 'one picture';
}

/** What is needed now and then, behind disclosure. */
export function MoreSettings() {
  const batch = useStudio(({ generateForm: { batchSize, batchCount } }) => batchAside(batchSize, batchCount));
  return (
    <>
      <Disclosure title="Several at a time" aside={batch}>
        <div className="pair">
          <NumberField field="batchCount" term="batchCount" />
          <NumberField field="batchSize" term="batchSizeOfPictures" />
        </div>
        <p className="field-hint">
          Picture 2 has the seed + 1, picture 3 the seed + 2, so that each can be drawn alone.
        </p>
      </Disclosure>
      <Hires />
      <Faster />
      <Disclosure title="Finer points">
        <div className="pair">
          <NumberField field="clipSkip" term="clipSkip" />
          <ChoiceField
            field="timestepSpacing"
            label="Spacing"
            term="timestepSpacing"
            options={[
              ['', 'Model’s own'],
              ['leading', 'Leading'],
              ['trailing', 'Trailing'],
              ['linspace', 'Linspace'],
            ]}
          />
          <ChoiceField
            field="noiseDevice"
            label="Noise"
            term="noiseDevice"
            options={[
              ['cpu', 'CPU, as diffusers'],
              ['gpu', 'GPU, as A1111'],
            ]}
          />
          <ChoiceField
            field="syntax"
            label="Prompt syntax"
            term="syntax"
            options={[
              ['a1111', '(weights:1.2)'],
              ['plain', 'Plain text'],
            ]}
          />
        </div>
        <FormSwitch field="preview" label="Show the picture while it is drawn" />
        <PreviewDecoder />
      </Disclosure>
    </>
  );
}
