/**
 * The page's Content-Security-Policy, put into index.html at build and sent as a header by `vite preview`.
 *
 * Nothing runs but our own files: no inline script, no eval, no foreign host's code, picture or style. `connect-src` must
 * allow any https host, because the person may name another Hub than huggingface.co, and a mirror on this machine; our code
 * fetches from that one endpoint only (and the CDN it redirects to), and sends no image anywhere.
 */
import type { Plugin } from 'vite';

const directives = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "font-src 'self'",
  "manifest-src 'self'",
  "connect-src 'self' https: http://localhost:* http://127.0.0.1:*",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** Headers to serve the built page with. A meta element cannot say who may frame the page; a header can. */
export const headers = {
  'Content-Security-Policy': `${directives}; frame-ancestors 'none'`,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/** Injects the policy into the built index.html, so that it holds on any static host. The dev server needs inline scripts. */
export function contentSecurityPolicy(): Plugin {
  return {
    name: 'content-security-policy',
    apply: 'build',
    transformIndexHtml: () => [
      {
        tag: 'meta',
        attrs: { 'http-equiv': 'Content-Security-Policy', content: directives },
        injectTo: 'head-prepend',
      },
    ],
  };
}
