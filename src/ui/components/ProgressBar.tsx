import { Progress } from 'radix-ui';

interface ProgressBarProps {
  readonly label: string;
  /** 0..1, or null while that is not known. */
  readonly value: number | null;
}

export function ProgressBar({ label, value }: ProgressBarProps) {
  const percent = value === null ? null : Math.round(Math.min(1, Math.max(0, value)) * 1000) / 10;
  return (
    <Progress.Root
      className="progress"
      value={percent}
      aria-label={label}
      getValueLabel={(now) => `${Math.round(now)} percent`}
    >
      <Progress.Indicator className="progress-fill" style={percent === null ? undefined : { width: `${percent}%` }} />
    </Progress.Root>
  );
}
