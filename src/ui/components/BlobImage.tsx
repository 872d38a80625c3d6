import { useObjectUrl } from '../hooks/useObjectUrl.ts';

/** A picture that lies in memory or in the browser's storage. */
export function BlobImage({ blob, alt, className }: { readonly blob: Blob; readonly alt: string; readonly className?: string }) {
  const url = useObjectUrl(blob);
  return url === null ? <span className={className} /> : <img className={className} src={url} alt={alt} draggable={false} />;
}
