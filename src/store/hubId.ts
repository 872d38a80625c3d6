/** Hub ids and endpoints as people type and paste them. */
export const defaultEndpoint = 'https://huggingface.co';

/** `owner/name`, taken out of a pasted page address if need be; null if there is no such thing in `text`. */
export function parseHubId(text: string): string | null {
  const path = text
    .trim()
    .replace(/^https?:\/\/[^/]+\//i, '')
    .replace(/^models\//, '')
    .replace(/\/+$/, '');
  const id = path.split('/').slice(0, 2).join('/');
  return /^[\w.-]+(\/[\w.-]+)?$/.test(id) && !id.includes('..') ? id : null;
}

/** Why `text` is no endpoint, in a sentence; null if it is one. */
export function explainEndpoint(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    return `Enter an address that begins with https://, for example ${defaultEndpoint}.`;
  }
  return null;
}
