import { invariant } from '../../core/invariant.ts';

const unrolled = new Map<string, Map<string, string>>();

/**
 * Writes out the loops `for (var x = 0u; x < NAME; x++) { ... }` of a shader whose NAME is one of `constants`: a private array
 * that is indexed by constants alone stays in registers, while a loop's index sends it to memory in drivers that do not
 * unroll by themselves (SwiftShader takes three times as long). The shader stays valid as it lies; `dispatch` gets the result
 * and the same constants. Remembered, so that only a shader's first use costs anything.
 */
export function unroll(shader: string, constants: Readonly<Record<string, number>>): string {
  let variants = unrolled.get(shader);
  if (!variants) unrolled.set(shader, (variants = new Map()));
  const key = Object.entries(constants).join();
  let code = variants.get(key);
  if (code === undefined) {
    code = shader;
    for (const [name, count] of Object.entries(constants)) code = unrollUpTo(code, name, count);
    variants.set(key, code);
  }
  return code;
}

function unrollUpTo(shader: string, name: string, count: number): string {
  const head = new RegExp(String.raw`for \(var (\w+) = 0u; \1 < ${name}; \1\+\+\) \{`);
  let code = shader;
  for (let match = head.exec(code); match; match = head.exec(code)) {
    const begin = match.index + match[0].length;
    const end = closingBrace(code, begin);
    const index = new RegExp(String.raw`\b${match[1]!}\b`, 'g');
    const copies = Array.from({ length: count }, (_, i) => `{${code.slice(begin, end).replace(index, `${i}u`)}}`);
    code = code.slice(0, match.index) + copies.join('\n') + code.slice(end + 1);
  }
  return code;
}

/** Where the block that is open at `from` ends. */
function closingBrace(code: string, from: number): number {
  for (let i = from, depth = 1; i < code.length; i++) {
    if (code[i] === '{') depth++;
    if (code[i] === '}' && --depth === 0) return i;
  }
  invariant(false, 'unroll: a loop has no end');
}
