/** Edits of images as plain changes: what to send, what to show at once, and what undoes it. */
import { replacedTag, withoutTag, withTag } from '../core/captions.ts';
import type { DatasetImage, ImageChange } from '../worker/protocol.ts';
import { plural } from './format.ts';

/** An edit of many captions at once. */
export type TagEdit =
  | { readonly kind: 'add'; readonly tag: string; readonly place: 'start' | 'end' }
  | { readonly kind: 'remove'; readonly tag: string }
  | { readonly kind: 'replace'; readonly tag: string; readonly by: string };

/** The captions among `images` that the edit changes. */
export function tagChanges(images: readonly DatasetImage[], edit: TagEdit): ImageChange[] {
  return images
    .map(({ id, caption }) => ({ id, before: caption, caption: editedCaption(caption, edit) }))
    .filter(({ before, caption }) => before !== caption)
    .map(({ id, caption }) => ({ id, caption }));
}

function editedCaption(caption: string, edit: TagEdit): string {
  switch (edit.kind) {
    case 'add':
      return withTag(caption, edit.tag, edit.place);
    case 'remove':
      return withoutTag(caption, edit.tag);
    case 'replace':
      return replacedTag(caption, edit.tag, edit.by);
  }
}

/** `“red hat” added to 12 captions`. */
export function tagEditTitle(edit: TagEdit, count: number): string {
  const captions = plural(count, 'caption');
  switch (edit.kind) {
    case 'add':
      return `“${edit.tag}” added to ${captions}`;
    case 'remove':
      return `“${edit.tag}” removed from ${captions}`;
    case 'replace':
      return `“${edit.tag}” replaced by “${edit.by}” in ${captions}`;
  }
}

/** The images with the changes made. */
export function withChanges(images: readonly DatasetImage[], changes: readonly ImageChange[]): DatasetImage[] {
  const byId = new Map(changes.map((change) => [change.id, change]));
  return images.map((image) => (byId.has(image.id) ? { ...image, ...byId.get(image.id) } : image));
}

/** What brings the images back to what they are before `changes`. */
export function inverseOf(images: readonly DatasetImage[], changes: readonly ImageChange[]): ImageChange[] {
  const byId = new Map(images.map((image) => [image.id, image]));
  return changes.flatMap(({ id, ...changed }) => {
    const image = byId.get(id);
    if (image === undefined) return [];
    const before = Object.fromEntries(Object.keys(changed).map((key) => [key, image[key as keyof DatasetImage]]));
    return [{ id, ...(before as Omit<ImageChange, 'id'>) }];
  });
}
