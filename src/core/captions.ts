/** The caption an image is trained with: the trigger word in front, `sks, a dog on grass`. Either may be empty. */
export function captionWithTrigger(triggerWord: string, caption: string): string {
  const word = triggerWord.trim();
  const text = caption.trim();
  if (word === '') return text;
  return text === '' ? word : `${word}, ${text}`;
}
