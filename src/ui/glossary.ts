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
  tag: 'What stands between two commas of a caption. Many models know tags better than sentences.',
  buckets:
    'Images of one shape are trained together at a size of that shape, so that nothing is stretched and little is cut off. Without buckets every image is cropped to a square.',
  crop: 'The part of an image that is learned. What is dimmed is cut off.',
  mask: 'What of an image matters: the rest is not learned. Good for one person among several, or for clothes without the face.',
  repeats: 'How often an image is shown each time that all images are gone through. More makes it count more.',
  validationSplit:
    'Images that are never trained on, but looked at from time to time: when they get worse while the others get better, the model learns by heart.',
  transparency: 'Models know no transparency: what is clear in an image is filled with this colour.',
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
  mixedPrecision:
    'fp16 has the UNet compute its products with numbers rounded to 16 bits: faster where the browser lets the GPU’s matrix units be used. The picture stays the same to the eye, but not to the bit. Off computes in 32 bits.',
  guidanceInterval:
    'Which part of the steps guidance steers, 0 being the first and 1 the last. Each step costs half without it. Left out late, little changes; left out early, pictures vary more and stray further from the prompt.',
  reuse:
    'The inside of the UNet changes little from step to step. With 3 here all of it runs every third step, and in between only its outermost layers do, around what the inside said last (DeepCache). Fine detail changes first.',
  psnr: 'Peak signal-to-noise ratio: how far the pixels are apart. Above 30 dB the eye hardly finds the difference; below 20 it is another picture.',
  ssim: 'Structural similarity: how alike shapes and contrasts are, 1 being the same.',
  negativePrompt: 'What should not be on the picture.',
  prompt:
    'What should be on the picture. (word:1.2) weighs a word, [a:b:0.5] changes it halfway, <lora:name:0.8> calls a LoRA. Ctrl+Up and Ctrl+Down change the weight of what is selected.',
  scheduler:
    'The method that turns noise into a picture step by step. DPM++ 2M and UniPC need the fewest steps; those with an “a” never settle. Karras spends more of the steps on details.',
  textEncoderWeight:
    'How much of the LoRA acts on the reading of the prompt, apart from the drawing. The same as its weight, unless you say otherwise.',
  loraForm: 'The names that a file gives to the layers it changes. Tools differ in which they read.',
  precision:
    'How exactly each number is written. Half takes half the space, and nobody sees the difference in a picture; full is as it was trained.',
  strength:
    'How much of the picture is drawn again: 0 keeps it as it is, 1 leaves nothing of it. Around 0.6 keeps the composition.',
  inpainting: 'Only what is painted over is drawn again; the rest of the picture stays to the pixel.',
  hires:
    'Models lose the thread above the size they were trained at. So the picture is drawn at that size, enlarged, and partly drawn again for the details.',
  upscaler:
    'How the small picture is enlarged. Latent is softer and needs more strength; Lanczos keeps what is there sharper.',
  batchCount: 'How many times in a row. Takes no more memory.',
  batchSizeOfPictures: 'How many pictures are drawn at the same time. Faster on a big GPU, and takes its memory.',
  clipSkip:
    'How many layers from the end the prompt is read. 1 for most models, 2 for many that were made for drawings and anime.',
  timestepSpacing: 'Which of the noise levels of the training are visited. Trailing is what few-step models want.',
  noiseDevice:
    'Whose random numbers the seed stands for: diffusers on a CPU, or A1111 on a graphics card. Choose the one whose picture you want again.',
  syntax: 'Whether brackets, weights and tags mean something, as in A1111, or are plain text, as in diffusers.',
  loraWeight: 'How much of the LoRA is mixed in. 0 is the plain model, 1 is as trained, above 1 exaggerates.',
  loss: 'How far the model’s guess was from the truth, on average. It jumps a lot by nature: watch the bold line, and the pictures even more.',
  timestep: 'How much noise was added, from 0 (none) to 999 (nothing but noise).',
  strip:
    'Every step takes your images, hides them under noise, and lets the model guess what is underneath. The guess gets better as it learns.',
  checkpoint:
    'A step of a run at which everything was kept: what was learned and where the optimizer stood. Training goes on from there exactly.',
  preflight:
    'Two steps and a sample were tried with your settings and thrown away: what they took is what the run will take on this machine. What sizes alone rule out is not tried.',
  gpuMemory: 'Memory that the training has taken on your graphics card: now, and at most so far.',
} as const;

export type Term = keyof typeof glossary;
