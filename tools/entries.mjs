/** The programs that run in Node, and the file each begins in. `dist-node/<name>.mjs` is the bundle of each. */
export const entries = {
  loratory: 'src/cli/main.ts',
  oracle: 'src/cli/oracle.ts',
  hub: 'tools/hub/main.ts',
  bench: 'bench/main.ts',
  fullsize: 'tools/fullsize/main.ts',
  fuzz: 'tools/fuzz/main.ts',
  'latent-colours': 'tools/latent-colours/main.ts',
  'demo-measure': 'tools/demo-model/measure.ts',
};
