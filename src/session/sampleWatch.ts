/** Looks at a run's samples as they come, and says when training has broken what the model could draw before. */
import { pictureHealth, type PictureHealth } from '../evaluation/pictureHealth.ts';
import type { SampleReport } from './samples.ts';

const words: Readonly<Record<Exclude<PictureHealth, 'fine'>, string>> = {
  black: 'black',
  blank: 'one colour only',
  noise: 'noise only',
};

export class SampleWatch {
  /** Prompts that did not come out before training either: a model's own weakness, or a prompt that asks for it. */
  private readonly ill = new Set<number>();
  private warned = false;

  /** What to tell the person about this row; null if there is nothing new to tell. */
  judge({ globalStep, images }: SampleReport): string | null {
    const found = images.flatMap(({ image, prompt }, i) => {
      const health = pictureHealth(image);
      return health === 'fine' ? [] : [{ i, prompt, health }];
    });
    if (globalStep === 0) {
      for (const { i } of found) this.ill.add(i);
      return null;
    }
    const broken = found.filter(({ i }) => !this.ill.has(i));
    if (broken.length === 0) {
      this.warned = false;
      return null;
    }
    if (this.warned) return null;
    this.warned = true;
    const [first] = broken;
    const which = broken.length === images.length ? 'The samples show' : `The sample of “${first!.prompt}” shows`;
    return `${which} ${words[first!.health]} at step ${globalStep}: training has gone too far. Stop, and branch off an earlier step with a lower learning rate, or start again with a lower rank or fewer steps.`;
  }
}
