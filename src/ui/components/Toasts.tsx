import { CircleAlert, CircleCheck, Info as InfoIcon, X } from 'lucide-react';
import { Toast as RadixToast } from 'radix-ui';
import type { ReactNode } from 'react';
import type { Toast } from '../../store/toasts.ts';
import { useStudio } from '../StudioContext.tsx';

const icons = { info: InfoIcon, success: CircleCheck, error: CircleAlert };

function ToastCard({ toast }: { readonly toast: Toast }) {
  const dismissed = useStudio((state) => state.toastDismissed);
  const Icon = icons[toast.kind];
  // What can be undone or went wrong stays long enough to be read and reached.
  const duration = toast.kind === 'error' || toast.action !== undefined ? 12_000 : 4000;
  return (
    <RadixToast.Root
      className={`toast toast-${toast.kind}`}
      duration={duration}
      type={toast.kind === 'error' ? 'foreground' : 'background'}
      onOpenChange={(open) => {
        if (!open) dismissed(toast.id);
      }}
    >
      <Icon size={18} aria-hidden="true" className="toast-icon" />
      <div className="toast-text">
        <RadixToast.Title className="toast-title">{toast.title}</RadixToast.Title>
        {toast.detail !== undefined && (
          <RadixToast.Description className="toast-detail">{toast.detail}</RadixToast.Description>
        )}
      </div>
      {toast.action !== undefined && (
        <RadixToast.Action className="button button-small" altText={toast.action.label} onClick={toast.action.run}>
          {toast.action.label}
        </RadixToast.Action>
      )}
      <RadixToast.Close className="icon-button" aria-label="Dismiss">
        <X size={14} aria-hidden="true" />
      </RadixToast.Close>
    </RadixToast.Root>
  );
}

export function Toasts({ children }: { readonly children: ReactNode }) {
  const toasts = useStudio((state) => state.toasts);
  return (
    <RadixToast.Provider swipeDirection="right" label="Message">
      {children}
      {toasts.map((toast) => (
        <ToastCard key={toast.id} toast={toast} />
      ))}
      <RadixToast.Viewport className="toasts" label="Messages ({hotkey})" />
    </RadixToast.Provider>
  );
}
