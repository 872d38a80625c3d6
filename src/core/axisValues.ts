/**
 * Values along an axis of a plot, as they are typed: `1, 2, 5`, or ranges as A1111 writes them: `1-5` (every whole number), `1-10 (+3)`
 * (in steps of 3), `0-1 [5]` (five of them, ends included). Texts are separated by commas; one with a comma stands in double quotes.
 */
import { LoratoryError } from './errors.ts';

/** What was typed is no list of values. */
export class AxisValuesError extends LoratoryError {
  readonly code = 'axis-values';

  constructor(text: string) {
    super(
      `“${text}” is no number and no range.`,
      'Write numbers separated by commas, or ranges such as 1-5, 0-1 (+0.25) or 0-1 [5].',
      { text },
    );
  }
}

const NUMBER = String.raw`[+-]?\d*\.?\d+`;
const RANGE = new RegExp(String.raw`^(${NUMBER})\s*-\s*(${NUMBER})(?:\s*\(\s*(${NUMBER})\s*\)|\s*\[\s*(\d+)\s*\])?$`);
/** More cells on one axis than anybody waits for. */
const MOST = 1000;

const rounded = (value: number): number => Number(value.toPrecision(10));

function rangeValues(start: number, end: number, step: number | null, count: number | null, text: string): number[] {
  if (count !== null) {
    if (count < 1 || count > MOST) throw new AxisValuesError(text);
    return Array.from({ length: count }, (_, i) => rounded(start + ((end - start) * i) / Math.max(1, count - 1)));
  }
  const signed = step ?? (end >= start ? 1 : -1);
  const steps = (end - start) / signed;
  if (signed === 0 || !(steps >= 0) || steps > MOST) throw new AxisValuesError(text);
  return Array.from({ length: Math.floor(steps + 1e-9) + 1 }, (_, i) => rounded(start + i * signed));
}

/** Throws {@link AxisValuesError}, also where nothing was typed. */
export function parseAxisNumbers(text: string): number[] {
  const values = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [, start, end, step, count] = RANGE.exec(part) ?? [];
      if (start !== undefined && end !== undefined) {
        const [by, parts] = [step, count].map((digits) => (digits === undefined ? null : Number(digits)));
        return rangeValues(Number(start), Number(end), by ?? null, parts ?? null, part);
      }
      const value = Number(part);
      if (!Number.isFinite(value)) throw new AxisValuesError(part);
      return [value];
    });
  if (values.length === 0) throw new AxisValuesError(text);
  return values;
}

/** The texts between the commas, spaces around them dropped. */
export function parseAxisTexts(text: string): string[] {
  const parts = text.match(/\s*"(?:[^"]|"")*"\s*(?=,|$)|[^,]+/g) ?? [];
  return parts
    .map((part) => part.trim())
    .map((part) => (part.length > 1 && /^".*"$/s.test(part) ? part.slice(1, -1).replaceAll('""', '"') : part))
    .filter((part) => part !== '');
}
