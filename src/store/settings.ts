/** How the studio looks and which room is open. The room lives in the address, so that a reload comes back to it. */
import { recall, remember } from './persisted.ts';
import type { SliceContext } from './slice.ts';

export type Theme = 'system' | 'light' | 'dark';

export const rooms = ['model', 'images', 'train', 'try', 'export'] as const;
export type Room = (typeof rooms)[number];

export interface SettingsSlice {
  readonly theme: Theme;
  readonly room: Room;
  readonly themeChosen: (theme: Theme) => void;
  readonly roomOpened: (room: Room) => void;
}

/** The room that an address names (`#train`), or `model`. */
export function roomFromHash(hash: string): Room {
  return rooms.find((room) => `#${room}` === hash) ?? 'model';
}

export function createSettingsSlice({ set }: SliceContext): SettingsSlice {
  const theme = recall('theme');
  return {
    theme: theme === 'light' || theme === 'dark' ? theme : 'system',
    room: roomFromHash(globalThis.location?.hash ?? ''),
    themeChosen: (chosen) => {
      remember('theme', chosen === 'system' ? null : chosen);
      set({ theme: chosen });
    },
    roomOpened: (room) => {
      if (globalThis.location !== undefined && globalThis.location.hash !== `#${room}`) {
        globalThis.history.replaceState(null, '', `#${room}`);
      }
      set({ room });
    },
  };
}
