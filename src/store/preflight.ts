/** What a run would need, asked for before it is started; and the cheaper settings that are proposed where it does not fit. */
import { type PlainError, toPlainError } from '../core/errors.ts';
import { isAborted } from '../worker/client.ts';
import type { PreflightReport, Proposal, TrainOptions } from '../worker/protocol.ts';
import type { SliceContext } from './slice.ts';
import { formOf } from './trainForm.ts';
import { trainRequestOf } from './trainRequest.ts';

export interface PreflightSlice {
  /** What is being tried; null if nothing is. */
  readonly preflightStatus: { readonly detail: string; readonly progress: number | null } | null;
  /** The last answer, and the options that it is about. */
  readonly preflight: { readonly report: PreflightReport; readonly options: TrainOptions } | null;
  readonly preflightError: PlainError | null;
  readonly preflightPressed: () => Promise<void>;
  readonly preflightCancelled: () => void;
  readonly preflightClosed: () => void;
  /** Puts the proposal's settings into the form and tries again. */
  readonly proposalAccepted: (proposal: Proposal) => Promise<void>;
}

export function createPreflightSlice({ client, set, get }: SliceContext): PreflightSlice {
  let controller = new AbortController();
  client.on('preflight.status', (preflightStatus) => {
    if (get().preflightStatus !== null) set({ preflightStatus });
  });
  return {
    preflightStatus: null,
    preflight: null,
    preflightError: null,
    preflightPressed: async () => {
      const request = trainRequestOf(get());
      if (request === null || get().isTraining || get().preflightStatus !== null) return;
      controller = new AbortController();
      const { signal } = controller;
      set({ preflightStatus: { detail: 'Waking the engine', progress: null }, preflight: null, preflightError: null });
      try {
        const report = await client.request('train.preflight', request, { signal });
        set({ preflight: { report, options: request.options } });
      } catch (error) {
        if (!isAborted(error)) set({ preflightError: toPlainError(error) });
      } finally {
        set({ preflightStatus: null });
      }
    },
    preflightCancelled: () => controller.abort(),
    preflightClosed: () => set({ preflight: null, preflightError: null }),
    proposalAccepted: async ({ changes }) => {
      const options = get().preflight?.options;
      if (options === undefined) return;
      const [before, after] = [formOf(options), formOf({ ...options, ...changes })];
      const changed = Object.entries(after).filter(([field, text]) => before[field as keyof typeof before] !== text);
      get().trainFormEdited(Object.fromEntries(changed));
      await get().preflightPressed();
    },
  };
}
