import { Check, Cpu, Monitor, Moon, Sun, TriangleAlert } from 'lucide-react';
import { Tabs } from 'radix-ui';
import type { Room } from '../../store/settings.ts';
import { Hint } from '../components/Info.tsx';
import { Logo } from '../components/Logo.tsx';
import { useStudio } from '../StudioContext.tsx';

const steps: readonly { readonly room: Room; readonly label: string }[] = [
  { room: 'model', label: 'Model' },
  { room: 'images', label: 'Images' },
  { room: 'train', label: 'Train' },
  { room: 'try', label: 'Try' },
  { room: 'export', label: 'Export' },
];

/** A ring that fills with the run's progress, in whole percents so that it is not redrawn every step. */
function TrainRing() {
  const percent = useStudio(({ latestStep }) =>
    latestStep === null ? 0 : Math.round((100 * latestStep.globalStep) / latestStep.maxTrainSteps),
  );
  return (
    <svg className="train-ring" width="18" height="18" viewBox="0 0 18 18" aria-hidden="true">
      <circle cx="9" cy="9" r="7" className="train-ring-track" />
      <circle cx="9" cy="9" r="7" className="train-ring-fill" pathLength="100" strokeDasharray={`${percent} 100`} />
    </svg>
  );
}

function StepMark({ room, index }: { readonly room: Room; readonly index: number }) {
  const isTraining = useStudio((state) => state.isTraining);
  const done = useStudio((state) => {
    if (room === 'model') return state.selectedModelId !== null;
    if (room === 'images') return state.images.length > 0;
    if (room === 'train') return state.runs.length > 0;
    return room === 'try' && state.pictures.length > 0;
  });
  if (room === 'train' && isTraining) return <TrainRing />;
  return (
    <span className={done ? 'step-mark step-mark-done' : 'step-mark'} aria-hidden="true">
      {done ? <Check size={11} strokeWidth={3} /> : index + 1}
    </span>
  );
}

function GpuChip() {
  const gpu = useStudio((state) => state.gpu);
  if (gpu.status === 'opening') return <span className="chip chip-busy">Waking the GPU…</span>;
  if (gpu.status === 'unavailable') {
    return (
      <Hint text={`${gpu.error.message} ${gpu.error.remedy}`}>
        <button type="button" className="chip chip-warn">
          <TriangleAlert size={14} aria-hidden="true" /> No GPU
        </button>
      </Hint>
    );
  }
  const { info } = gpu;
  const facts = [
    info.shaderF16 ? 'Half precision: yes' : 'Half precision: no (slower)',
    info.subgroups ? 'Subgroups: yes' : 'Subgroups: no (slower)',
  ];
  const warning =
    'This is a software GPU: everything works, but very slowly. Turn on hardware acceleration in your browser’s settings.';
  return (
    <Hint
      text={
        <>
          {info.isSoftware && <p>{warning}</p>}
          <p>{info.description}</p>
          <p>{facts.join(' · ')}</p>
        </>
      }
    >
      <button type="button" className={info.isSoftware ? 'chip chip-warn' : 'chip chip-good'} data-testid="gpu-chip">
        {info.isSoftware ? <TriangleAlert size={14} aria-hidden="true" /> : <Cpu size={14} aria-hidden="true" />}
        <span className="chip-text">{info.isSoftware ? `Software GPU · ${info.description}` : info.description}</span>
      </button>
    </Hint>
  );
}

const themeOrder = { system: 'light', light: 'dark', dark: 'system' } as const;
const themeIcons = { system: Monitor, light: Sun, dark: Moon };

function ThemeToggle() {
  const theme = useStudio((state) => state.theme);
  const themeChosen = useStudio((state) => state.themeChosen);
  const Icon = themeIcons[theme];
  const next = themeOrder[theme];
  return (
    <Hint text={`Theme: ${theme}. Click for ${next}.`}>
      <button type="button" className="icon-button" aria-label={`Theme: ${theme}`} onClick={() => themeChosen(next)}>
        <Icon size={16} aria-hidden="true" />
      </button>
    </Hint>
  );
}

export function TopBar() {
  const imageCount = useStudio((state) => state.images.length);
  return (
    <header className="topbar">
      <Logo />
      <Tabs.List className="steps" aria-label="Steps">
        {steps.map(({ room, label }, index) => (
          <Tabs.Trigger key={room} value={room} className="step">
            <StepMark room={room} index={index} />
            {label}
            {room === 'images' && imageCount > 0 && (
              <span className="step-count">
                {imageCount} <span className="visually-hidden">in the set</span>
              </span>
            )}
          </Tabs.Trigger>
        ))}
      </Tabs.List>
      <div className="topbar-end">
        <GpuChip />
        <ThemeToggle />
      </div>
    </header>
  );
}
