/** A name that every file system takes. */
export function safeFileName(name: string): string {
  const cleaned = name.replace(/[^\p{L}\p{N}._ -]+/gu, '_').trim();
  return cleaned === '' ? 'lora' : cleaned;
}
