/** A kohya training as options of ours, with a list of everything in it that was not taken over, and why. */
import { readPromptLines, samplePromptsOf } from '../../core/promptLines.ts';
import { presets } from '../../core/presets.ts';
import { completeTrainOptions } from '../../core/trainOptionsJson.ts';
import {
  isOfKind,
  optionAt,
  ruleInWords,
  type TrainOptionPath,
  trainOptionRules,
} from '../../core/trainOptionRules.ts';
import { defaultOptimizer, type OptimizerName, type TrainOptions } from '../../core/trainOptions.ts';
import { BLOCKS, ratesFromWeights } from './blocks.ts';
import {
  datasetArguments,
  lossNames,
  notSupported,
  optimizerNames,
  passedOver,
  plainArguments,
  schedulerNames,
} from './plainArguments.ts';
import { type KohyaArguments, type KohyaValue, type NamedText, readKohyaFiles } from './toml.ts';

export interface KohyaNote {
  /** kohya's name of the argument, e.g. `network_args conv_block_dims`; empty for a note on the whole. */
  readonly argument: string;
  readonly value: string;
  /**
   * `changed`: taken over in another form; `passed over`: changes nothing here; `not supported`: would change the result, but
   * cannot be done; `not understood`: no such argument is known, or its value makes no sense.
   */
  readonly kind: 'changed' | 'passed over' | 'not supported' | 'not understood';
  /** A sentence. */
  readonly why: string;
}

export interface KohyaImport {
  readonly options: TrainOptions;
  /** `output_name`. */
  readonly name: string | null;
  /** `caption_prefix` or `class_tokens`. */
  readonly triggerWord: string | null;
  /** `pretrained_model_name_or_path`: for the person to find; it may be a path on another machine. */
  readonly modelName: string | null;
  /** How many arguments are now in the options. */
  readonly taken: number;
  readonly notes: readonly KohyaNote[];
}

/** Reads config, dataset and prompt files. Throws KohyaFileError for files that are none of these. */
export function readKohyaConfig(files: readonly NamedText[]): KohyaImport {
  return new ConfigReader(readKohyaFiles(files)).read();
}

const inWords = (value: KohyaValue): string => (typeof value === 'object' ? JSON.stringify(value) : String(value));

/** What Python makes of `value` where it stands in a string, as in `network_args`. */
function fromText(text: string): KohyaValue {
  const number = Number(text);
  if (text.trim() !== '' && Number.isFinite(number)) return number;
  return /^(true|false)$/i.test(text) ? text.toLowerCase() === 'true' : text;
}

class ConfigReader {
  private readonly args: Map<string, KohyaValue>;
  private readonly notes: KohyaNote[] = [];
  private readonly values: Record<string, unknown> = {};
  private taken = 0;

  constructor(private readonly files: KohyaArguments) {
    this.args = new Map(files.args);
  }

  read(): KohyaImport {
    for (const why of this.files.disagreements) this.note('', '', 'changed', why);
    // kohya's names for the same thing, the older ones first.
    this.rename('train_batch_size', 'batch_size');
    this.rename('dataset_repeats', 'num_repeats');
    for (const [name, path] of [...plainArguments, ...datasetArguments]) this.plain(name, path);
    this.resolution();
    this.optimizer();
    this.scheduler();
    this.adapter();
    this.textEncoder();
    this.imagesAndCaptions();
    this.noiseAndLoss();
    this.precision();
    this.checkpoints();
    const samplePrompts = this.prompts();
    const name = this.text('output_name');
    const prefix = this.text('caption_prefix');
    const classTokens = this.text('class_tokens');
    if (classTokens !== null && prefix === null)
      this.note(
        'class_tokens',
        classTokens,
        'changed',
        'It stands before every caption, not only where there is none.',
      );
    const modelName = this.text('pretrained_model_name_or_path');
    this.rest();
    const options = completeTrainOptions(this.values, presets.kohya);
    return {
      options: { ...options, samplePrompts },
      name,
      triggerWord: prefix?.replace(/[\s,]+$/, '') ?? classTokens,
      modelName,
      taken: this.taken,
      notes: this.notes,
    };
  }

  private note(argument: string, value: KohyaValue, kind: KohyaNote['kind'], why: string): void {
    this.notes.push({ argument, value: inWords(value), kind, why });
  }

  /** The argument's value, which then counts as taken; undefined if it is not there. */
  private take(name: string): KohyaValue | undefined {
    const value = this.args.get(name);
    if (this.args.delete(name)) this.taken++;
    return value;
  }

  private text(name: string): string | null {
    const value = this.take(name);
    return value === undefined || value === '' ? null : inWords(value);
  }

  private flag(name: string): boolean {
    return this.take(name) === true;
  }

  private rename(older: string, name: string): void {
    const value = this.args.get(older);
    this.args.delete(older);
    if (value !== undefined && !this.args.has(name)) this.args.set(name, value);
  }

  private set(path: string, value: unknown): void {
    const [first = '', second] = path.split('.');
    if (second === undefined) this.values[first] = value;
    else this.values[first] = { ...(this.values[first] as object | undefined), [second]: value };
  }

  /** Sets the option if the value is of its kind, and else says what was wanted. */
  private assign(argument: string, path: TrainOptionPath, value: KohyaValue): void {
    const rule = trainOptionRules[path];
    const converted = rule.kind === 'number' && typeof value === 'string' ? fromText(value) : value;
    // kohya's null is to leave the argument out, or 0 where that turns it off.
    if ('whenNull' in rule && converted === 0) this.set(path, null);
    else if (isOfKind(converted, rule)) this.set(path, converted);
    else {
      this.taken--;
      this.note(argument, value, 'not understood', `${rule.label} was left as it is: ${ruleInWords(rule)}.`);
    }
  }

  private plain(name: string, path: TrainOptionPath): void {
    const value = this.take(name);
    if (value !== undefined) this.assign(name, path, value);
  }

  /** `512`, `"512"`, `"512,768"` or `[512, 768]`. */
  private resolution(): void {
    const value = this.take('resolution');
    if (value === undefined) return;
    const sides = (typeof value === 'object' ? value : String(value).split(',')).map(Number);
    const [width = NaN, height = width] = sides;
    if (!Number.isInteger(width) || !Number.isInteger(height) || sides.length > 2) {
      this.taken--;
      this.note('resolution', value, 'not understood', 'A side, or width and height, in pixels were expected.');
      return;
    }
    // The side of the square of the same area, in steps that every model of this kind takes.
    const side = width === height ? width : Math.round(Math.sqrt(width * height) / 8) * 8;
    if (width !== height) {
      this.note('resolution', value, 'changed', `The studio counts in squares: ${side} px has the same area.`);
    }
    this.set('resolution', side);
  }

  private optimizer(): void {
    const given = this.take('optimizer_type');
    const type = String(given ?? '');
    const flags = { use_8bit_adam: 'AdamW8bit', use_lion_optimizer: 'Lion' } as const;
    const byFlag = Object.entries(flags).find(([flag]) => this.flag(flag))?.[1];
    const wanted = type === '' ? (byFlag ?? 'AdamW') : type;
    const plain = wanted.replace(/^Paged|^bitsandbytes\.optim\.|^torch\.optim\./i, '');
    const known = Object.entries(optimizerNames).find(([, name]) => name.toLowerCase() === plain.toLowerCase());
    const like: OptimizerName = /lion/i.test(plain) ? 'lion' : /dadapt|prodigy/i.test(plain) ? 'prodigy' : 'adamw';
    const name = (known?.[0] as OptimizerName | undefined) ?? (/^adamw32bit$/i.test(plain) ? 'adamw' : like);
    this.values['optimizer'] = defaultOptimizer(name);
    if (known === undefined && !/^adamw32bit$/i.test(plain)) {
      this.taken--;
      this.note('optimizer_type', wanted, 'not supported', `${optimizerNames[name]} takes its place.`);
    }
    // lion_pytorch's and prodigyopt's default, which kohya keeps.
    if (name === 'lion' || name === 'prodigy') this.set('optimizer.weightDecay', 0);
    if (name === 'adafactor') {
      // transformers' defaults, which kohya keeps.
      this.set('optimizer.relativeStep', true);
      this.set('optimizer.scaleParameter', true);
    }
    this.pairs('optimizer_args', {
      weight_decay: (value) => this.assign('weight_decay', 'optimizer.weightDecay', value),
      eps: (value) => {
        const single = typeof value === 'string' ? (value.match(/[\d.e+-]+/)?.[0] ?? value) : value;
        this.assign('eps', 'optimizer.epsilon', fromText(String(single)));
      },
      betas: (value) => {
        const [beta1, beta2] = String(value)
          .replaceAll(/[()[\]]/g, '')
          .split(',')
          .map(Number);
        this.assign('betas', 'optimizer.beta1', beta1 ?? String(value));
        if (beta2 !== undefined) this.assign('betas', 'optimizer.beta2', beta2);
      },
      beta1: (value) => this.assign('beta1', 'optimizer.beta1', value),
      d0: (value) => this.assign('d0', 'optimizer.initialD', value),
      d_coef: (value) => this.assign('d_coef', 'optimizer.dCoefficient', value),
      use_bias_correction: (value) => this.assign('use_bias_correction', 'optimizer.biasCorrection', value),
      safeguard_warmup: (value) => this.assign('safeguard_warmup', 'optimizer.safeguardWarmup', value),
      scale_parameter: (value) => this.assign('scale_parameter', 'optimizer.scaleParameter', value),
      relative_step: (value) => this.assign('relative_step', 'optimizer.relativeStep', value),
      decouple: (value) => {
        if (value !== true) this.note('decouple', value, 'not supported', 'Weight decay is always decoupled.');
      },
      warmup_init: (value) => {
        if (value === true) this.note('warmup_init', value, 'not supported', 'Use a schedule with warm-up instead.');
      },
    });
  }

  private scheduler(): void {
    const value = this.take('lr_scheduler');
    const cycles = this.take('lr_scheduler_num_cycles');
    const entry = Object.entries(schedulerNames).find(([, name]) => name === value);
    if (entry !== undefined) this.set('lrScheduler.name', entry[0]);
    else if (typeof value === 'string' && value.startsWith('adafactor')) this.set('optimizer.relativeStep', true);
    else if (value !== undefined) {
      this.taken--;
      this.note('lr_scheduler', value, 'not supported', 'The rate stays constant.');
    }
    // kohya hands its number of cycles to the restarts only; a plain cosine always falls once.
    if (entry?.[0] === 'cosine') this.set('lrScheduler.cycles', 0.5);
    else if (cycles !== undefined) this.assign('lr_scheduler_num_cycles', 'lrScheduler.cycles', cycles);
  }

  private adapter(): void {
    const module = this.take('network_module');
    const isLycoris = typeof module === 'string' && /lycoris/i.test(module);
    if (module !== undefined && !isLycoris && module !== 'networks.lora') {
      this.taken--;
      this.note('network_module', module, 'not supported', 'A plain LoRA is trained instead.');
    }
    let convolutions = false;
    const weights: { down?: readonly number[]; mid?: number; up?: readonly number[] } = {};
    const list = (name: string, value: KohyaValue): readonly number[] | undefined => {
      const numbers = String(value).split(',').map(Number);
      if (numbers.length === BLOCKS && numbers.every((n) => Number.isFinite(n) && n >= 0)) return numbers;
      this.note(`network_args ${name}`, value, 'not supported', `A list of ${BLOCKS} factors is understood.`);
      return undefined;
    };
    const withList = (part: 'down' | 'up') => (value: KohyaValue) => {
      const numbers = list(`${part}_lr_weight`, value);
      if (numbers !== undefined) weights[part] = numbers;
    };
    this.pairs('network_args', {
      conv_dim: (value) => {
        convolutions = true;
        this.assign('conv_dim', 'convRank', value);
      },
      conv_alpha: (value) => this.assign('conv_alpha', 'convAlpha', value),
      dropout: (value) => this.assign('dropout', 'dropout.network', value),
      rank_dropout: (value) => this.assign('rank_dropout', 'dropout.rank', value),
      module_dropout: (value) => this.assign('module_dropout', 'dropout.module', value),
      down_lr_weight: withList('down'),
      up_lr_weight: withList('up'),
      mid_lr_weight: (value) => {
        if (typeof value === 'number' && value >= 0) weights.mid = value;
        else this.note('network_args mid_lr_weight', value, 'not understood', 'A number was expected.');
      },
      algo: (value) => {
        if (value !== 'lora' && value !== 'locon')
          this.note('network_args algo', value, 'not supported', 'A LoRA is trained instead.');
      },
      preset: (value) => this.lycorisPreset(String(value)),
      dora_wd: (value) => this.set('adapterKind', value === true ? 'dora' : 'lora'),
      loraplus_lr_ratio: (value) =>
        this.note('network_args loraplus_lr_ratio', value, 'not supported', 'Both matrices learn at the same rate.'),
    });
    // LyCORIS adapts the convolutions unless its preset says otherwise, kohya's own LoRA where they are given a rank.
    if (isLycoris && optionAt(this.values, 'targets.convolutions') === undefined) convolutions = true;
    if (convolutions) this.set('targets.convolutions', true);
    if (isLycoris && optionAt(this.values, 'targets.convolutions') === true) {
      // As large as the rest, where LyCORIS is told nothing else.
      const { rank, alpha } = presets.kohya;
      for (const [path, value] of [
        ['convRank', this.values['rank'] ?? rank],
        ['convAlpha', this.values['alpha'] ?? alpha],
      ] as const)
        if (this.values[path] === undefined) this.set(path, value);
    }
    const { down, mid, up } = weights;
    if (down !== undefined || mid !== undefined || up !== undefined) {
      const ones = Array<number>(BLOCKS).fill(1);
      this.set('blockLearningRates', ratesFromWeights({ down: down ?? ones, mid: mid ?? 1, up: up ?? ones }));
    }
  }

  private lycorisPreset(preset: string): void {
    const targets = {
      full: { attention: true, feedForward: true, projections: true, convolutions: true },
      'attn-mlp': { attention: true, feedForward: true, projections: true, convolutions: false },
      'attn-only': { attention: true, feedForward: false, projections: false, convolutions: false },
    }[preset];
    if (targets === undefined) this.note('network_args preset', preset, 'not supported', 'All layers are trained.');
    else this.values['targets'] = targets;
  }

  private textEncoder(): void {
    const rate = Number(this.values['learningRate'] ?? presets.kohya.learningRate);
    const unetRate = this.take('unet_lr');
    const own = this.take('text_encoder_lr');
    const ownRate = Number(typeof own === 'object' ? own[0] : (own ?? rate));
    const unetOnly = this.flag('network_train_unet_only');
    if (unetRate !== undefined) this.assign('unet_lr', 'learningRate', unetRate);
    if (this.flag('network_train_text_encoder_only')) {
      this.values['targets'] = { attention: false, feedForward: false, projections: false, convolutions: false };
    }
    const learningRate = Number.isFinite(ownRate) ? ownRate : rate;
    this.values['textEncoder'] = { train: !unetOnly && learningRate > 0, learningRate };
  }

  private imagesAndCaptions(): void {
    if (this.args.has('flip_aug')) this.set('flipProbability', this.flag('flip_aug') ? 0.5 : 0);
    if (this.files.regularisationSubsets > 0) {
      this.set('priorPreservation.enabled', true);
      this.note(
        'is_reg',
        true,
        'changed',
        'The studio draws its class images itself: write the class prompt under Data.',
      );
    }
  }

  private noiseAndLoss(): void {
    const loss = this.take('loss_type');
    const kind = Object.entries(lossNames).find(([, name]) => name === loss)?.[0];
    if (kind !== undefined) this.set('loss.kind', kind);
    else if (loss !== undefined) {
      this.taken--;
      this.note('loss_type', loss, 'not supported', 'The squared error (l2) is used.');
    }
    if (this.flag('v_parameterization')) this.set('predictionType', 'v_prediction');
  }

  private precision(): void {
    const value = this.take('mixed_precision');
    if (value === undefined) return;
    if (value !== 'bf16') return this.assign('mixed_precision', 'mixedPrecision', value);
    this.set('mixedPrecision', 'fp16');
    this.note('mixed_precision', value, 'changed', 'GPUs have no bf16 in a browser: fp16 takes its place.');
  }

  /** kohya counts in steps what stays: the files of the last N steps before the newest, and that one. */
  private checkpoints(): void {
    const last = this.take('save_last_n_steps');
    const every = Number(optionAt(this.values, 'checkpoints.everySteps') ?? 0);
    this.set('checkpoints.keep', last === undefined || every <= 0 ? 0 : Math.floor(Number(last) / every) + 1);
  }

  private prompts(): TrainOptions['samplePrompts'] {
    if (this.files.promptFile === null) return [];
    const { lines, problems } = readPromptLines(this.files.promptFile);
    const seed = Number(this.values['seed'] ?? presets.kohya.seed);
    const { prompts, problems: more } = samplePromptsOf(lines, Number.isInteger(seed) ? seed : 42);
    for (const problem of [...problems, ...more]) this.note('sample_prompts', '', 'not understood', problem);
    return prompts;
  }

  /** Arguments in a list of `key=value`: each goes to its handler, the others are named. */
  private pairs(name: string, handlers: Readonly<Record<string, (value: KohyaValue) => void>>): void {
    const given = this.take(name);
    if (given === undefined) return;
    for (const entry of typeof given === 'object' ? given.map(inWords) : inWords(given).split(/\s+(?=\w+=)/)) {
      const [, key = '', text = ''] = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(entry) ?? [];
      const handler = Object.hasOwn(handlers, key) ? handlers[key] : undefined;
      if (handler === undefined) this.note(name, entry, 'not understood', 'No such argument is known.');
      else handler(fromText(text));
    }
  }

  /** What nobody has taken. */
  private rest(): void {
    for (const [name, value] of this.args) {
      // An argument that is switched off asks for nothing.
      if (value === false || value === '') continue;
      const harmless = Object.hasOwn(passedOver, name) ? passedOver[name] : undefined;
      const unsupported = Object.hasOwn(notSupported, name) ? notSupported[name] : undefined;
      const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
      if (harmless !== undefined) this.note(name, value, 'passed over', sentence(harmless));
      else if (unsupported !== undefined) {
        if (value !== 0) this.note(name, value, 'not supported', sentence(unsupported));
      } else this.note(name, value, 'not understood', 'No such argument is known.');
    }
  }
}
