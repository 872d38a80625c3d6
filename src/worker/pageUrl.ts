/**
 * The address of a file that was published with the page, whatever path the page lies under. For use in the worker: a build with
 * a relative base puts its program into assets/, one below the page.
 */
export function pageUrl(path: string): URL {
  const base = import.meta.env.BASE_URL;
  return new URL(path, new URL(base.startsWith('.') ? `../${base}` : base, globalThis.location.href));
}
