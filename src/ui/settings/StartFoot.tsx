import { ListPlus, Play } from 'lucide-react';
import { useShallow } from 'zustand/react/shallow';
import { plural, shortModelName } from '../../store/format.ts';
import { imagesToTrain, trainObstacles } from '../../store/trainRequest.ts';
import { resolvedOptions } from '../../store/trainSettings.ts';
import { useStudio } from '../StudioContext.tsx';

/** What stands between the person and the start, or what is going to happen; and the button. While a run goes on, the next is queued. */
export function StartFoot() {
  const isTaken = useStudio((state) => state.isTraining || state.watchedRun !== null);
  const obstacles = useStudio(useShallow(trainObstacles));
  const modelId = useStudio((state) => state.selectedModelId);
  const imageCount = useStudio((state) => imagesToTrain(state).length);
  const isReplay = useStudio((state) => state.replayIds !== null);
  const allImagesChosen = useStudio((state) => state.allImagesChosen);
  const steps = useStudio((state) => resolvedOptions(state).maxTrainSteps);
  const trainPressed = useStudio((state) => state.trainPressed);
  const runQueued = useStudio((state) => state.runQueued);
  const isTrying = useStudio((state) => state.preflightStatus !== null);
  const preflightPressed = useStudio((state) => state.preflightPressed);
  return (
    <div className="inspector-foot">
      <p className="foot-fact" id="start-note" aria-live="polite">
        {obstacles.length > 0 && <span className="warn-text">{obstacles.join(' ')}</span>}
        {obstacles.length === 0 && (
          <span>
            {plural(imageCount, 'image')}, {plural(steps, 'step')} on <strong>{shortModelName(modelId ?? '')}</strong>
            {isTaken && ', after the run that goes on'}
          </span>
        )}
        {obstacles.length === 0 && !isTaken && (
          <button type="button" className="link" disabled={isTrying} onClick={() => void preflightPressed()}>
            What will it need?
          </button>
        )}
      </p>
      {isReplay && (
        <p className="replay">
          <span>The {plural(imageCount, 'image')} of the recipe, in its order.</span>
          <button type="button" className="link" onClick={allImagesChosen}>
            Use all images
          </button>
        </p>
      )}
      <button
        type="button"
        className={`button button-large button-wide${isTaken ? '' : ' button-primary'}`}
        disabled={obstacles.length > 0 || isTrying}
        aria-describedby="start-note"
        onClick={() => void (isTaken ? runQueued() : trainPressed())}
      >
        {isTaken ? (
          <>
            <ListPlus size={15} aria-hidden="true" /> Add to the queue
          </>
        ) : (
          <>
            <Play size={14} fill="currentColor" aria-hidden="true" /> Start training
          </>
        )}
      </button>
    </div>
  );
}
