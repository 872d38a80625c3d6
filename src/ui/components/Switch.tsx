import { Switch as RadixSwitch } from 'radix-ui';

interface SwitchProps {
  readonly label: string;
  readonly checked: boolean;
  readonly disabled?: boolean;
  readonly onChange: (checked: boolean) => void;
}

/** On or off, at once. The label is for screen readers; what stands beside it says it to the eye. */
export function Switch({ label, checked, disabled = false, onChange }: SwitchProps) {
  return (
    <RadixSwitch.Root
      className="switch"
      checked={checked}
      disabled={disabled}
      onCheckedChange={onChange}
      aria-label={label}
    >
      <RadixSwitch.Thumb className="switch-thumb" />
    </RadixSwitch.Root>
  );
}
