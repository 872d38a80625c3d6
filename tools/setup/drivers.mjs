/**
 * Where the two software Vulkan drivers are that the GPU tests run on. Each is named by the manifest (ICD) that the Vulkan
 * loader reads; `LAVAPIPE_ICD` and `SWIFTSHADER_ICD` in the environment override the usual places.
 */
import { existsSync } from 'node:fs';

/**
 * @typedef {object} Driver
 * @property {string} name what the tests call it
 * @property {string} icd path of the driver's manifest; the first usual place when there is none
 * @property {string} architectureOrDevice what the adapter's info must contain, so that no test runs on another device
 * @property {boolean} shaderF16 whether it has the feature `shader-f16`; we test with and without
 */

/** @type {(variable: string, places: readonly [string, ...string[]]) => string} */
const firstPlace = (variable, places) =>
  process.env[variable] ?? places.find((place) => existsSync(place)) ?? places[0];

const icdFolder = '/usr/share/vulkan/icd.d';
const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';

/** Mesa's driver on the CPU, version 24 or newer. @type {Driver} */
export const lavapipe = {
  name: 'lavapipe',
  icd: firstPlace('LAVAPIPE_ICD', [`${icdFolder}/lvp_icd.json`, `${icdFolder}/lvp_icd.${machine}.json`]),
  architectureOrDevice: 'llvmpipe',
  shaderF16: true,
};

/** The driver that Chromium brings along. @type {Driver} */
export const swiftshader = {
  name: 'swiftshader',
  icd: firstPlace('SWIFTSHADER_ICD', [
    '/usr/lib/chromium/vk_swiftshader_icd.json',
    '/opt/google/chrome/vk_swiftshader_icd.json',
    '/usr/lib64/chromium-browser/vk_swiftshader_icd.json',
  ]),
  architectureOrDevice: 'swiftshader',
  shaderF16: false,
};
