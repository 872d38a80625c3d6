import { FolderOpen } from 'lucide-react';
import type { ReactNode } from 'react';
import { useDropzone } from 'react-dropzone';

interface DropLineProps {
  /** Of the hidden input, for screen readers. */
  readonly label: string;
  readonly testId: string;
  readonly onFiles: (files: readonly File[]) => void;
  /** What may be dropped here. */
  readonly children: ReactNode;
}

/** A line on which files are dropped, or chosen with its button. */
export function DropLine({ label, testId, onFiles, children }: DropLineProps) {
  const { getRootProps, getInputProps, isDragActive, open } = useDropzone({
    noClick: true,
    noKeyboard: true,
    onDrop: (files) => onFiles(files),
  });
  return (
    <div {...getRootProps({ className: isDragActive ? 'drop-line drop-line-active' : 'drop-line' })}>
      <input {...getInputProps({ 'aria-label': label })} data-testid={testId} />
      <span>{children}</span>
      <button type="button" className="button button-small" onClick={open}>
        <FolderOpen size={14} aria-hidden="true" /> Choose files
      </button>
    </div>
  );
}
