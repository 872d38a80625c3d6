import { Columns2, Copy, Download, Ellipsis, ImagePlus, RotateCcw, Trash2 } from 'lucide-react';
import { DropdownMenu } from 'radix-ui';
import { fullQualityOf } from '../../../store/fullQuality.ts';
import { openInitPicture } from '../../../store/initPicture.ts';
import { pictureFileName } from '../../../store/gallery.ts';
import { copyPicture } from '../../../store/pictureFiles.ts';
import type { GalleryPicture } from '../../../worker/protocol.ts';
import { Hint } from '../../components/Info.tsx';
import { useStudio } from '../../StudioContext.tsx';

/** What can be done with the picture that is shown. */
export function PictureActions({ picture }: { readonly picture: GalleryPicture }) {
  const reused = useStudio((state) => state.pictureSettingsReused);
  const removed = useStudio((state) => state.picturesRemoved);
  const initPictureChanged = useStudio((state) => state.initPictureChanged);
  const comparisonChosen = useStudio((state) => state.comparisonChosen);
  const comparing = useStudio((state) => state.comparedPictureId !== null);
  const before = useStudio(
    (state) => state.pictures[state.pictures.findIndex(({ id }) => id === picture.id) - 1]?.id ?? null,
  );
  const fullQuality = useStudio((state) => fullQualityOf(state, picture));
  const fullQualityWished = useStudio((state) => state.fullQualityWished);
  const saved = useStudio((state) => state.pictureSaved);
  const toastShown = useStudio((state) => state.toastShown);
  const attempt = (title: string, work: Promise<unknown>): void => {
    work.catch((error: unknown) =>
      toastShown({ kind: 'error', title, detail: error instanceof Error ? error.message : String(error) }),
    );
  };
  return (
    <div className="picture-actions" role="toolbar" aria-label="Picture actions">
      <button type="button" className="button" onClick={() => reused(picture.id)}>
        <RotateCcw size={14} aria-hidden="true" /> Reuse settings
      </button>
      <Hint text={comparing ? 'Show it alone' : 'Compare with the picture before; or pick another below'}>
        <button
          type="button"
          className="button"
          aria-pressed={comparing}
          disabled={!comparing && before === null}
          onClick={() => comparisonChosen(comparing ? null : before)}
        >
          <Columns2 size={14} aria-hidden="true" /> Compare
        </button>
      </Hint>
      <Hint text="Copy the picture">
        <button
          type="button"
          className="button button-icon"
          aria-label="Copy the picture"
          onClick={() =>
            attempt(
              'The picture could not be copied',
              copyPicture(picture.png).then(() => toastShown({ kind: 'success', title: 'Picture copied' })),
            )
          }
        >
          <Copy size={14} aria-hidden="true" />
        </button>
      </Hint>
      <button type="button" className="button button-primary" onClick={() => void saved(picture, 'png')}>
        <Download size={14} aria-hidden="true" /> Save PNG
      </button>
      <DropdownMenu.Root modal={false}>
        <DropdownMenu.Trigger asChild>
          <button type="button" className="button button-icon" aria-label="More actions">
            <Ellipsis size={15} aria-hidden="true" />
          </button>
        </DropdownMenu.Trigger>
        <DropdownMenu.Portal>
          <DropdownMenu.Content className="menu" align="end" sideOffset={6}>
            <DropdownMenu.Item className="menu-item" onSelect={() => void saved(picture, 'webp')}>
              <Download size={14} aria-hidden="true" /> Save WebP <span>a fraction of the size</span>
            </DropdownMenu.Item>
            {fullQuality !== 'none' && (
              <DropdownMenu.Item
                className="menu-item"
                disabled={fullQuality === 'begun'}
                onSelect={() => void fullQualityWished(picture.id)}
              >
                <Columns2 size={14} aria-hidden="true" /> Compare with full quality{' '}
                <span>
                  {fullQuality === 'begun' ? 'what it began with is gone' : 'draws it again without shortcuts'}
                </span>
              </DropdownMenu.Item>
            )}
            <DropdownMenu.Item
              className="menu-item"
              onSelect={() =>
                attempt(
                  'The settings could not be copied',
                  navigator.clipboard
                    .writeText(picture.parameters)
                    .then(() => toastShown({ kind: 'success', title: 'Settings copied as text' })),
                )
              }
            >
              <Copy size={14} aria-hidden="true" /> Copy settings as text
            </DropdownMenu.Item>
            <DropdownMenu.Item
              className="menu-item"
              onSelect={() =>
                attempt(
                  'The picture could not be read',
                  openInitPicture(picture.png, pictureFileName(picture, 'png')).then(initPictureChanged),
                )
              }
            >
              <ImagePlus size={14} aria-hidden="true" /> Draw from this picture
            </DropdownMenu.Item>
            <DropdownMenu.Separator className="menu-line" />
            <DropdownMenu.Item className="menu-item menu-danger" onSelect={() => void removed([picture.id])}>
              <Trash2 size={14} aria-hidden="true" /> Delete
            </DropdownMenu.Item>
          </DropdownMenu.Content>
        </DropdownMenu.Portal>
      </DropdownMenu.Root>
    </div>
  );
}
