/** Rounds to the nearest integer (halves to even, as numpy and PIL's callers do) and clamps to 0..255. */
export function clampByte(value: number): number {
  if (!(value > 0)) return 0;
  if (value >= 255) return 255;
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest > 0.5 || (rest === 0.5 && floor % 2 === 1)) return floor + 1;
  return floor;
}
