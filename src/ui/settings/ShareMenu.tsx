import { Copy, FileCog, FileDown, Link2, PackageOpen, RotateCcw, Share2, Upload } from 'lucide-react';
import { DropdownMenu } from 'radix-ui';
import type { ReactNode } from 'react';
import type { ShareSource } from '../../store/interchange.ts';
import { Hint } from '../components/Info.tsx';
import { useStudio } from '../StudioContext.tsx';

interface ItemProps {
  readonly icon: ReactNode;
  readonly label: string;
  readonly about: string;
  readonly onSelect: () => void;
}

function Item({ icon, label, about, onSelect }: ItemProps) {
  return (
    <DropdownMenu.Item className="menu-item" onSelect={onSelect}>
      {icon}
      <span className="menu-text">
        <strong>{label}</strong>
        <small>{about}</small>
      </span>
    </DropdownMenu.Item>
  );
}

/** The ways of a run, stored or still in the form, to other places. */
export function ShareItems({ source }: { readonly source: ShareSource }) {
  const recipeCopied = useStudio((state) => state.recipeCopied);
  const recipeSaved = useStudio((state) => state.recipeSaved);
  const kohyaExportPressed = useStudio((state) => state.kohyaExportPressed);
  const jobExportPressed = useStudio((state) => state.jobExportPressed);
  return (
    <>
      <Item
        icon={<Copy size={15} aria-hidden="true" />}
        label="Copy recipe"
        about="Everything about it as text, without images."
        onSelect={() => void recipeCopied(source, 'json')}
      />
      <Item
        icon={<Link2 size={15} aria-hidden="true" />}
        label="Copy link to recipe"
        about="Opens here with all settings filled in."
        onSelect={() => void recipeCopied(source, 'link')}
      />
      <Item
        icon={<FileDown size={15} aria-hidden="true" />}
        label="Save recipe"
        about="The same as a file."
        onSelect={() => void recipeSaved(source)}
      />
      <DropdownMenu.Separator className="menu-line" />
      <Item
        icon={<FileCog size={15} aria-hidden="true" />}
        label="Export kohya config"
        about="Config and dataset TOML for sd-scripts."
        onSelect={() => void kohyaExportPressed(source)}
      />
      <Item
        icon={<PackageOpen size={15} aria-hidden="true" />}
        label="Export job"
        about="Images, captions and commands for another machine."
        onSelect={() => void jobExportPressed(source)}
      />
    </>
  );
}

/** Settings in, settings out: in the head of the Train room's form. */
export function ShareMenu() {
  const importOpened = useStudio((state) => state.importOpened);
  return (
    <DropdownMenu.Root modal={false}>
      <Hint text="Import and share settings">
        <DropdownMenu.Trigger className="icon-button share-button" aria-label="Import and share settings">
          <Share2 size={15} aria-hidden="true" />
        </DropdownMenu.Trigger>
      </Hint>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu menu-told" align="end" sideOffset={4} collisionPadding={12}>
          <Item
            icon={<Upload size={15} aria-hidden="true" />}
            label="Import settings…"
            about="A recipe, a link to one, or a kohya config."
            onSelect={importOpened}
          />
          <DropdownMenu.Separator className="menu-line" />
          <ShareItems source="form" />
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

/** The same for a stored run; and its settings back into the form. */
export function RunShareMenu({ runId }: { readonly runId: string }) {
  const runReplayed = useStudio((state) => state.runReplayed);
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>
        <button type="button" className="button">
          <Share2 size={14} aria-hidden="true" /> Recipe
        </button>
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu menu-told" align="end" sideOffset={6} collisionPadding={12}>
          <Item
            icon={<RotateCcw size={15} aria-hidden="true" />}
            label="Train like this again"
            about="Its settings, captions and images in the Train room."
            onSelect={() => void runReplayed(runId)}
          />
          <DropdownMenu.Separator className="menu-line" />
          <ShareItems source={{ runId }} />
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
