import { Tabs } from 'radix-ui';
import type { ReactNode } from 'react';

interface TabSegmentsProps {
  readonly label: string;
  readonly tabs: readonly (readonly [value: string, label: ReactNode])[];
  readonly className?: string;
}

/** The heads of tabs, side by side. */
export function TabSegments({ label, tabs, className = '' }: TabSegmentsProps) {
  return (
    <Tabs.List className={`segmented ${className}`} aria-label={label}>
      {tabs.map(([value, text]) => (
        <Tabs.Trigger key={value} value={value} className="segment">
          {text}
        </Tabs.Trigger>
      ))}
    </Tabs.List>
  );
}
