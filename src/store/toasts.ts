/** Short messages in the corner, some with an Undo. */
import type { SliceContext } from './slice.ts';

export interface Toast {
  readonly id: number;
  readonly kind: 'info' | 'success' | 'error';
  readonly title: string;
  readonly detail?: string;
  readonly action?: { readonly label: string; readonly run: () => void };
}

export interface ToastSlice {
  readonly toasts: readonly Toast[];
  readonly toastShown: (toast: Omit<Toast, 'id'>) => void;
  readonly toastDismissed: (id: number) => void;
}

let nextId = 1;

export function createToastSlice({ set }: SliceContext): ToastSlice {
  return {
    toasts: [],
    toastShown: (toast) => set((state) => ({ toasts: [...state.toasts.slice(-3), { ...toast, id: nextId++ }] })),
    toastDismissed: (id) => set((state) => ({ toasts: state.toasts.filter((toast) => toast.id !== id) })),
  };
}
