import { sizesInUse } from '../../store/modelDefaults.ts';
import { ruleOfField } from '../../store/trainForm.ts';
import { runNameOf } from '../../store/trainRequest.ts';
import { TextField } from '../components/Field.tsx';
import { Info } from '../components/Info.tsx';
import { JobProgress } from '../settings/JobProgress.tsx';
import { Presets } from '../settings/Presets.tsx';
import { RateChart } from '../settings/RateChart.tsx';
import { SamplePrompts } from '../settings/SamplePrompts.tsx';
import { SettingField } from '../settings/SettingField.tsx';
import { SettingsGroups } from '../settings/SettingsGroups.tsx';
import { ShareMenu } from '../settings/ShareMenu.tsx';
import { StartFoot } from '../settings/StartFoot.tsx';
import { useStudio } from '../StudioContext.tsx';

/** Trained at: open where the model can do several sizes, fixed and explained where it can do one. */
function ResolutionField() {
  const size = useStudio((state) => sizesInUse(state).imageSize);
  const rule = ruleOfField('resolution', size);
  const isThatSize = useStudio((state) => Number(state.trainForm.resolution) === rule?.min);
  const fixed = rule?.min === rule?.max && isThatSize;
  return (
    <SettingField field="resolution" suffix="px" {...(fixed ? { fixed: `This model knows ${size} px only.` } : {})} />
  );
}

/** The settings of the next run, which may be queued behind the one that goes on: a few at first sight, all of them below. */
export function TrainSettings() {
  const name = useStudio(runNameOf);
  const runNameEdited = useStudio((state) => state.runNameEdited);
  return (
    <aside className="inspector" aria-label="Training settings">
      <div className="inspector-scroll">
        <section className="group">
          <div className="group-head">
            <h2>What to learn</h2>
            <ShareMenu />
          </div>
          <Presets />
          <TextField label="Name" value={name} onChange={runNameEdited} />
          <div className="pair">
            <SettingField field="maxTrainSteps" />
            <ResolutionField />
          </div>
          <SettingField field="learningRate" />
          <RateChart />
        </section>
        <section className="group">
          <h2>
            Watch it learn <Info term="sampleEvery" label="a sample" />
          </h2>
          <SamplePrompts />
          <SettingField field="sampleEvery" suffix="steps" />
        </section>
        <SettingsGroups />
      </div>
      <JobProgress />
      <StartFoot />
    </aside>
  );
}
