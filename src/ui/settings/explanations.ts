/** Every setting in plain words: what it does, when to change it. Shown behind the small question marks, and searched. */
import type { TrainField } from '../../store/trainForm.ts';

export const explanations: Readonly<Record<TrainField, string>> = {
  adapterKind:
    'LoRA adds two thin matrices to each layer. DoRA also learns how strong each of the layer’s outputs is: a little better at the same rank, a little slower.',
  rank: 'How much room the LoRA has for what it learns. Higher holds more detail but also memorises more. 4 to 16 is plenty.',
  alpha: 'How strongly what was learned is applied, relative to the rank. Equal to the rank means full strength.',
  convRank: 'The rank of the convolutions’ LoRA (kohya’s conv_dim). Half of the rank, or less, is usual.',
  convAlpha: 'The alpha of the convolutions’ LoRA: its strength is this over its rank.',
  'dropout.network':
    'How often a single value inside the LoRA is left out while training, against memorising. 0 is off; 0.1 is usual.',
  'dropout.rank': 'How often a whole direction of the LoRA is left out, against memorising. 0 is off.',
  'dropout.module': 'How often a layer goes without its LoRA for a step, against memorising. 0 is off.',
  'targets.attention': 'Where the picture looks at itself and at the prompt. Enough for most styles and persons.',
  'targets.feedForward':
    'The layers that think about each spot of the picture by itself. More room to learn, a larger file.',
  'targets.projections':
    'The layers at the door of each transformer block, and those that read the time step. kohya’s trainer includes them.',
  'targets.convolutions': 'The 3 × 3 convolutions (LoCon): textures and fine strokes. Slower, and a larger file.',
  'textEncoder.train':
    'Also trains how words are understood. It helps a new trigger word, and it can harm prompts that have nothing to do with it.',
  'textEncoder.learningRate': 'The text encoder’s own learning rate. Half of the main one, or less, is usual.',
  blockLearningRates:
    'Parts of the UNet may learn faster or slower: the start of a layer’s name and a factor, e.g. mid_block=0.5, up_blocks.1=2. 0 freezes a part.',
  learningRate:
    'How big a step the training takes each time. Too high and pictures break, too low and nothing happens.',
  'optimizer.name':
    'The rule that turns gradients into steps. AdamW is the safe choice; its 8-bit form saves memory; Lion needs a tenth of the rate; Prodigy finds the rate by itself.',
  'optimizer.beta1': 'How much of the former steps’ direction is kept.',
  'optimizer.beta2': 'How long the size of the gradients is remembered.',
  'optimizer.epsilon': 'A tiny number against division by zero. Leave it.',
  'optimizer.weightDecay': 'Pulls the LoRA’s numbers towards zero a little with every step, against memorising.',
  'optimizer.initialD': 'Prodigy’s first guess of how far there is to go. Larger starts faster.',
  'optimizer.dCoefficient': 'A factor on what Prodigy finds. 0.5 is gentler, 2 is bolder.',
  'optimizer.biasCorrection': 'Evens out Adam’s first steps. Often recommended with Prodigy.',
  'optimizer.safeguardWarmup':
    'Keeps the small rates of a warm-up out of Prodigy’s estimate. Switch it on together with a warm-up.',
  'optimizer.scaleParameter': 'Adafactor makes steps relative to the size of what is changed.',
  'optimizer.relativeStep': 'Adafactor chooses the rate by itself; the learning rate above then counts for nothing.',
  'lrScheduler.name': 'How the learning rate changes while training. The curve shows it.',
  'lrScheduler.warmupSteps':
    'So many steps over which the rate rises from zero. A tenth of the steps is usual, for which 0.1 may be written, too.',
  'lrScheduler.cycles': 'How often the rate falls. Half a cosine wave falls once.',
  'lrScheduler.power': '1 falls in a straight line, 2 falls faster at first.',
  trainBatchSize: 'How many images are looked at in one step. More is steadier, slower, and takes more GPU memory.',
  gradientAccumulationSteps: 'Adds up so many batches to one step: the effect of a larger batch without its memory.',
  maxGradNorm:
    'A step can never be larger than this, so that a single odd image cannot throw the training off. 0 is no limit.',
  maxTrainSteps: 'How many times the model looks at a batch of your images and corrects itself.',
  maxTrainEpochs: 'How many times every image is seen. If it is set, it decides the steps.',
  seed: 'The number that all chance is drawn from. The same seed and settings give the same result.',
  emaDecay:
    'Also keeps a slow average of the LoRA, which is then what is exported: smoother results. 0.999 is usual; empty is off.',
  resolution:
    'Images are shrunk to this many pixels on each side. Higher shows more detail and takes more time and memory.',
  'buckets.enabled': 'Images keep their shape instead of being cropped to squares: those of one shape make a batch.',
  'buckets.minSide': 'No side becomes shorter than this.',
  'buckets.maxSide': 'No side becomes longer than this.',
  'buckets.step': 'Sides are multiples of this. 64 is usual.',
  'buckets.noUpscale': 'Small images are not enlarged; they go into a smaller bucket.',
  randomCrop: 'Crops another part of the image each time, instead of its middle or your own crop.',
  flipProbability:
    'How often an image is mirrored, so that the model sees more variety. Set it to 0 for faces with a parting, text or logos.',
  repeats: 'How often an epoch shows each image. An image may have a number of its own.',
  captionDropout:
    'How often an image is shown without its caption. A little makes the LoRA work with weaker prompts too.',
  shuffleTags:
    'Mixes what stands between the commas of a caption anew each time, so that the order of tags teaches nothing.',
  keepTokens: 'So many tags at the start stay where they are: the trigger word, for instance.',
  clipSkip:
    'Which layer of the text encoder is used, counted from the end. 1 for photos, 2 for most models of anime drawings.',
  predictionType:
    'What the model was made to guess: the noise (epsilon) or the velocity (v). Leave it to the model unless you know better.',
  minSnrGamma: 'Evens out how much easy and hard noise levels count. 5 is usual and often learns faster; empty is off.',
  noiseOffset: 'Lets the model learn pictures that are very dark or very bright. 0.05 is usual; 0 is off.',
  'pyramidNoise.iterations':
    'Adds noise at coarser sizes, for the same reason as the noise offset. 6 is usual; 0 is off.',
  'pyramidNoise.discount': 'How much weaker each coarser noise is. 0.3 is usual.',
  zeroTerminalSnr:
    'Moves the noise levels so that the last is nothing but noise. For models that guess the velocity (v).',
  'loss.kind':
    'How a wrong guess is counted. The squared error is the rule; Huber and smooth L1 forgive outliers, such as odd images.',
  'loss.huberDelta': 'Errors beyond this count less than squared.',
  'loss.huberSchedule': 'How that bound depends on the noise level.',
  'priorPreservation.enabled':
    'Also trains on pictures of the whole class (dogs, if you teach your dog), drawn by the model itself, so that it does not forget what else there is.',
  'priorPreservation.weight': 'How much the class pictures count.',
  'priorPreservation.classPrompt': 'What the class pictures show, e.g. “a photo of a dog”.',
  'priorPreservation.classImages': 'How many class pictures are drawn before the training.',
  maskedLoss: 'Counts only what you painted on each image’s mask. Images without a mask count whole.',
  'validation.split':
    'Holds out a share of your images. The loss on them says whether the LoRA learns or only memorises.',
  'validation.count': 'Holds out so many images. It goes before the share.',
  'validation.everySteps': 'How often the loss on the held-out images is measured. 0 means never.',
  'validation.timesteps':
    'The noise levels at which it is measured, from 0 to 999: always the same ones, so that the numbers can be compared.',
  'validation.seed': 'The number that its noise is drawn from.',
  sampleEvery:
    'A row of test pictures is drawn every so many steps, so that you can watch the training. 0 means never.',
  sampleEveryEpochs: 'The same, counted in epochs. 0 means never.',
  sampleInferenceSteps: 'How many refinement rounds a test picture gets. 20 to 30 is usual; more is slower.',
  sampleGuidanceScale:
    'How strictly test pictures follow their prompt. Around 7 is usual; high values look overcooked.',
  sampleNegativePrompt: 'What should not be on the test pictures.',
  'checkpoints.everySteps':
    'Keeps a copy of the LoRA every so many steps, to go back to. 0 keeps only the latest state.',
  'checkpoints.keep': 'How many copies are kept, the latest. 0 keeps all.',
  mixedPrecision:
    'fp16 computes products with numbers rounded to 16 bits, as most trainers do: faster where the browser lets the GPU’s matrix units be used. The LoRA comes out as good, though not bit for bit the same. Off computes in 32 bits.',
  weightsPrecision:
    'How the big model lies in the GPU’s memory. 8 bit takes half of it, at a very small loss of accuracy.',
  activationMemory:
    'GPU memory that may be spent to compute less twice: the same result, up to a third sooner. At 512 px each picture of a step can use about 900 MB; give it 1,000 on a GPU with 4 GB to spare. Without room for it, training does without.',
};
