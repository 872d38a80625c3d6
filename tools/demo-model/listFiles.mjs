/**
 * `node tools/demo-model/listFiles.mjs FOLDER`: writes FOLDER/files.json, from which the studio knows what to fetch of the demo model:
 *
 *     { "name": "loratory-demo", "revision": 40 hex digits, "imageSize": 64, "sizeUnit": 4,
 *       "files": [{ "path": "unet/config.json", "size": bytes, "sha256": 64 hex digits }, ...] }
 *
 * `revision` changes when any file does. `imageSize` and `sizeUnit` are pixels: the side of the pictures that the model was trained
 * on, and what sides must be multiples of. Listed are configs, vocabularies and weights; the model card is not.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, sep } from 'node:path';

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error('Usage: node tools/demo-model/listFiles.mjs FOLDER');
  process.exit(2);
}

/** @param {string} data @returns {string} */
const sha256 = (data) => createHash('sha256').update(data).digest('hex');
/** @param {string} path */
const readJson = (path) => JSON.parse(readFileSync(join(folder, path), 'utf8'));

const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .map((path) => path.split(sep).join('/'))
  .filter((path) => /\.(json|txt|safetensors)$/.test(path) && path !== 'files.json')
  .sort()
  .map((path) => {
    const bytes = readFileSync(join(folder, path));
    return { path, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  });
const sizeUnit = 2 ** (readJson('vae/config.json').block_out_channels.length - 1);
const imageSize = readJson('unet/config.json').sample_size * sizeUnit;
const revision = sha256(files.map((file) => `${file.sha256} ${file.path}\n`).join('')).slice(0, 40);
const list = { name: 'loratory-demo', revision, imageSize, sizeUnit, files };
writeFileSync(join(folder, 'files.json'), `${JSON.stringify(list, null, 2)}\n`);
const megabytes = files.reduce((sum, { size }) => sum + size, 0) / 1e6;
console.log(`${join(folder, 'files.json')}: ${files.length} files, ${megabytes.toFixed(1)} MB, revision ${revision}`);
