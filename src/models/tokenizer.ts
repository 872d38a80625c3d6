/**
 * CLIP's tokenizer: byte-level byte-pair encoding of lower-cased words, each ended by `</w>`. It yields the ids that transformers'
 * CLIPTokenizer (5.12, the Rust one) yields. Sources: openai/CLIP simple_tokenizer.py, transformers tokenization_clip.py.
 *
 * Where it is subtle: white space and letter case are Unicode's, code point by code point (JavaScript's own differ: \s has U+FEFF and
 * lacks U+0085, and toLowerCase looks at a sigma's neighbours). `<|endoftext|>` is found in the text as it was typed, and
 * `<|startoftext|>` in the lower-cased text, so in any letter case.
 */
import { LoratoryError } from '../core/errors.ts';
import { defined } from '../core/invariant.ts';

/** The files of a repository's tokenizer folder are not those of a CLIP tokenizer. */
export class TokenizerFormatError extends LoratoryError {
  readonly code = 'tokenizer-format';

  constructor(what: string) {
    super(
      `The tokenizer's files are malformed: ${what}.`,
      'Download the repository again, or take one with a CLIP tokenizer, as Stable Diffusion 1.5 has.',
      { what },
    );
  }
}

export interface ClipTokenizerFiles {
  /** vocab.json, parsed. */
  readonly vocab: Readonly<Record<string, number>>;
  /** merges.txt. */
  readonly merges: string;
  /** tokenizer_config.json, parsed; {} where there is none. */
  readonly config: Readonly<Record<string, unknown>>;
}

export interface TokenizedPrompt {
  /** modelMaxLength ids: bos, the text's tokens, eos, padding. */
  readonly ids: Int32Array<ArrayBuffer>;
  /** Ids before the padding, bos and eos included. */
  readonly tokens: number;
  /** The same, had the text not been cut: where it is larger than modelMaxLength, the end of the prompt is not seen. */
  readonly tokensBeforeTruncation: number;
}

export interface ClipTokenizer {
  readonly modelMaxLength: number;
  readonly bosTokenId: number;
  readonly eosTokenId: number;
  readonly padTokenId: number;
  encode(text: string): TokenizedPrompt;
  /** All tokens of a text, however long, without bos and eos around them. */
  tokenize(text: string): readonly number[];
  /** What tokens stand for: the text as it was normalized, with a space after each word. */
  decode(ids: Iterable<number>): string;
}

const START = '<|startoftext|>';
const END = '<|endoftext|>';
const DEFAULT_MAX_LENGTH = 77;
/** Words remembered with their ids; captions repeat themselves. */
const CACHED_WORDS = 10_000;
const WHITE_SPACE = /\p{White_Space}+/gu;
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\p{White_Space}\p{L}\p{N}]+/gu;

/** The printable character that stands for each byte in vocab.json: itself where it has a glyph in Latin-1, else one from U+0100 on. */
function byteCharacters(): readonly string[] {
  const hasGlyph = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(hasGlyph(byte) ? byte : 0x100 + others++));
}

const BYTE_CHARACTERS = byteCharacters();
const BYTE_OF_CHARACTER = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));
const SPACE = 0x20;

/** The order of merges: of a pair, written as `left right`. */
function parseMerges(text: string): ReadonlyMap<string, number> {
  const ranks = new Map<string, number>();
  for (const line of text.split(/\r?\n/)) {
    if (line === '' || line.startsWith('#version')) continue;
    if (!/^\S+ \S+$/.test(line))
      throw new TokenizerFormatError(`merges.txt has the line ${JSON.stringify(line.slice(0, 60))}`);
    ranks.set(line, ranks.size);
  }
  return ranks;
}

/** A special token's text: a plain string in some configs, an object with `content` in others. */
function tokenText(value: unknown, otherwise: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null && 'content' in value && typeof value.content === 'string') {
    return value.content;
  }
  return otherwise;
}

/** Joins the pair of lowest rank wherever it occurs, until no pair is left that may be joined. */
function mergePairs(symbols: string[], ranks: ReadonlyMap<string, number>): string[] {
  for (;;) {
    let best = Infinity;
    for (let i = 0; i + 1 < symbols.length; i++) {
      best = Math.min(best, ranks.get(`${symbols[i]} ${symbols[i + 1]}`) ?? Infinity);
    }
    if (best === Infinity) return symbols;
    const merged: string[] = [];
    for (let i = 0; i < symbols.length; i++) {
      const [left, right] = [symbols[i]!, symbols[i + 1]];
      if (right !== undefined && ranks.get(`${left} ${right}`) === best) {
        merged.push(left + right);
        i++;
      } else {
        merged.push(left);
      }
    }
    symbols = merged;
  }
}

function normalize(text: string): string {
  let lower = '';
  for (const character of text.normalize('NFC').replace(WHITE_SPACE, ' ')) lower += character.toLowerCase();
  return lower;
}

/** Makes a tokenizer from a repository's files. Throws {@link TokenizerFormatError} if they are malformed. */
export function createClipTokenizer({ vocab, merges, config }: ClipTokenizerFiles): ClipTokenizer {
  const ids = new Map(Object.entries(vocab));
  const ranks = parseMerges(merges);
  const idOf = (token: string): number => {
    const id = ids.get(token);
    if (id === undefined || !Number.isInteger(id)) throw new TokenizerFormatError(`vocab.json has no id for ${token}`);
    return id;
  };
  const bosTokenId = idOf(tokenText(config['bos_token'], START));
  const eosTokenId = idOf(tokenText(config['eos_token'], END));
  const padTokenId = idOf(tokenText(config['pad_token'], END));
  const unkTokenId = idOf(tokenText(config['unk_token'], END));
  // Some configs state no limit, as a number of thirty digits.
  const stated = config['model_max_length'];
  const isLimit = typeof stated === 'number' && Number.isInteger(stated) && stated > 2 && stated < 1_000_000;
  const modelMaxLength = isLimit ? stated : DEFAULT_MAX_LENGTH;

  const cache = new Map<string, readonly number[]>();
  function encodeWord(word: string): readonly number[] {
    const known = cache.get(word);
    if (known !== undefined) return known;
    const symbols = Array.from(new TextEncoder().encode(word), (byte) => defined(BYTE_CHARACTERS[byte]));
    symbols.push(`${defined(symbols.pop(), 'a word has bytes')}</w>`);
    const found = mergePairs(symbols, ranks).map((symbol) => ids.get(symbol) ?? unkTokenId);
    if (cache.size < CACHED_WORDS) cache.set(word, found);
    return found;
  }

  function tokensOf(text: string): number[] {
    const out: number[] = [];
    text.split(END).forEach((piece, i) => {
      if (i > 0) out.push(idOf(END));
      normalize(piece)
        .split(START)
        .forEach((part, j) => {
          if (j > 0) out.push(idOf(START));
          for (const [word] of part.matchAll(WORDS)) for (const id of encodeWord(word)) out.push(id);
        });
    });
    return out;
  }

  let tokenById: ReadonlyMap<number, string> | undefined;
  function decode(tokens: Iterable<number>): string {
    tokenById ??= new Map(Array.from(ids, ([token, id]) => [id, token]));
    const symbols = Array.from(tokens, (id) => tokenById?.get(id)?.replace(/<\/w>$/, ' ') ?? '').join('');
    const bytes = Array.from(symbols, (character) => BYTE_OF_CHARACTER.get(character) ?? SPACE);
    return new TextDecoder().decode(Uint8Array.from(bytes)).trimEnd();
  }

  return {
    modelMaxLength,
    bosTokenId,
    eosTokenId,
    padTokenId,
    tokenize: tokensOf,
    decode,
    encode: (text) => {
      const all = tokensOf(text);
      const kept = all.slice(0, modelMaxLength - 2);
      const padded = new Int32Array(modelMaxLength).fill(padTokenId);
      padded.set([bosTokenId, ...kept, eosTokenId]);
      return { ids: padded, tokens: kept.length + 2, tokensBeforeTruncation: all.length + 2 };
    },
  };
}
