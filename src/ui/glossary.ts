/** The field's words, said plainly. Shown behind the small question marks. */
export const glossary = {
  lora: 'A small add-on file that teaches a big model something new, such as your drawing style or your dog.',
  model: 'The big image model that your LoRA builds on. Stable Diffusion 1.5 and its many descendants work here.',
  hubId: 'The model’s name on huggingface.co: owner, slash, name. Pasting the page’s address works too.',
  endpoint: 'Where models are fetched from. Change it only if you use a mirror or a local server.',
  token: 'Needed only for private or gated models. Kept in this tab’s memory, never stored, gone when you close it.',
  triggerWord:
    'A word the model does not know yet, such as “sks”. It is put in front of every caption; later, writing it in a prompt calls up what was learned.',
  caption:
    'What is on the picture, in a few words. Describe what should stay changeable; leave out what should be learned.',
  resolution:
    'Images are shrunk to this many pixels on each side. Higher shows more detail and takes more time and memory.',
  rank: 'How much room the LoRA has for what it learns. Higher holds more detail but also memorises more. 4 to 16 is plenty.',
  alpha: 'How strongly what was learned is applied, relative to the rank. Equal to the rank means full strength.',
  learningRate:
    'How big a step the training takes each time. Too high and pictures break, too low and nothing happens.',
  steps: 'How many times the model looks at a batch of your images and corrects itself.',
  batchSize: 'How many images are looked at in one step. More is steadier, slower, and takes more GPU memory.',
  seed: 'The number that all chance is drawn from. The same seed and settings give the same result.',
  flip: 'How often an image is mirrored, so that the model sees more variety. Set it to 0 for faces with a parting, text or logos.',
  sampleEvery:
    'A row of test pictures is drawn every so many steps, so that you can watch the training. 0 means never.',
  sampleSteps: 'How many refinement rounds a picture gets. 20 to 30 is usual; more is slower.',
  guidanceScale: 'How strictly the picture follows the prompt. Around 7 is usual; high values look overcooked.',
  negativePrompt: 'What should not be on the picture.',
  scheduler:
    'The method that turns noise into a picture step by step. DDIM and Euler differ slightly in look; neither is better.',
  loraWeight: 'How much of the LoRA is mixed in. 0 is the plain model, 1 is as trained, above 1 exaggerates.',
  loss: 'How far the model’s guess was from the truth, on average. It jumps a lot by nature: watch the bold line, and the pictures even more.',
  timestep: 'How much noise was added, from 0 (none) to 999 (nothing but noise).',
  strip:
    'Every step takes your images, hides them under noise, and lets the model guess what is underneath. The guess gets better as it learns.',
  gpuMemory: 'Memory that the training has taken on your graphics card: now, and at most so far.',
} as const;

export type Term = keyof typeof glossary;
