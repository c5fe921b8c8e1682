// Runs before anything is painted, which the page itself is too large for; see lib/preferences.ts.
(() => {
  let theme;
  try {
    theme = JSON.parse(localStorage.getItem("helios-preferences") ?? "{}").theme;
  } catch {
    // Storage may be forbidden, or hold something else: the system's it is.
  }
  const isKnown = theme === "dark" || theme === "light";
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset.theme = isKnown ? theme : system;
})();
