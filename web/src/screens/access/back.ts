/**
 * Where to go after a sign-in: a page of ours, since a link to here must not lead elsewhere.
 *
 * The URL is read as the browser reads it: it takes a backslash for a slash, leaves out tabs, and
 * makes `//elsewhere` of `/.//elsewhere`.
 *
 * @param origin of this page.
 */
export function safeBack(back: string | undefined, origin: string): string {
  if (!back?.startsWith("/")) return "/";
  let url: URL;
  try {
    url = new URL(back, origin);
  } catch {
    return "/";
  }
  const isOurs = url.origin === origin && !url.pathname.startsWith("//");
  const isDoor = url.pathname === "/sign-in" || url.pathname === "/link";
  return isOurs && !isDoor ? url.pathname + url.search + url.hash : "/";
}
