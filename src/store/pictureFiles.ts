/** Puts a picture onto the clipboard. Rejects where the browser forbids it. */
export async function copyPicture(png: Blob): Promise<void> {
  await navigator.clipboard.write([new ClipboardItem({ 'image/png': png })]);
}
