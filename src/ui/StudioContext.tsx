import { createContext, type ReactNode, use } from 'react';
import { useStore } from 'zustand';
import { defined } from '../core/invariant.ts';
import type { StudioStore } from '../store/createStudioStore.ts';
import type { StudioState } from '../store/slice.ts';

const StudioContext = createContext<StudioStore | null>(null);

export function StudioProvider({ store, children }: { readonly store: StudioStore; readonly children: ReactNode }) {
  return <StudioContext value={store}>{children}</StudioContext>;
}

/** A part of the studio's state. Select narrowly: the component renders again whenever the selected value changes. */
export function useStudio<T>(selector: (state: StudioState) => T): T {
  return useStore(defined(use(StudioContext), 'StudioProvider'), selector);
}

/** The store itself, for handlers that read what they need when they run. */
export function useStudioStore(): StudioStore {
  return defined(use(StudioContext), 'StudioProvider');
}
