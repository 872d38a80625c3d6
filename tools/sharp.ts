/** For tests only: libvips as a second opinion on pictures. The engine itself must not know it, for it runs in browsers too. */
export { default as sharp } from 'sharp';
