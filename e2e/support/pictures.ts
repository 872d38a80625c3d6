/** Real image files for the journeys, drawn here so that nothing has to be kept. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';

/** Writes `count` PNG files `picture-1.png`, ... with captions in .txt files beside them; returns the paths of both. */
export async function writePictures(folder: string, count: number): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const paths: string[] = [];
  for (let i = 1; i <= count; i++) {
    const hue = (i * 360) / count;
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${96 + 8 * i}" height="96">
      <rect width="100%" height="100%" fill="hsl(${hue} 60% 85%)"/>
      <circle cx="${30 + 8 * i}" cy="48" r="${14 + 3 * i}" fill="hsl(${hue} 80% 45%)"/>
      <rect x="10" y="${70 - 6 * i}" width="30" height="${14 + 6 * i}" fill="hsl(${(hue + 180) % 360} 70% 35%)"/>
    </svg>`;
    const png = join(folder, `picture-${i}.png`);
    await sharp(Buffer.from(svg)).png().toFile(png);
    await writeFile(join(folder, `picture-${i}.txt`), `a round thing and a box, number ${i}`);
    paths.push(png, join(folder, `picture-${i}.txt`));
  }
  return paths;
}
