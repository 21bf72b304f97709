// Light or dark, as the reader last chose; without a choice, as the system says. Runs before the
// page is painted, so that a dark room is not lit by a white flash.
const dark = matchMedia("(prefers-color-scheme: dark)");

function storedTheme() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null; // storage is shut off: the choice lasts as long as the page
  }
}

function keepTheme(theme) {
  try {
    // A choice that is the system's own is none: then the page follows the system again.
    if (theme === (dark.matches ? "dark" : "light")) localStorage.removeItem("theme");
    else localStorage.setItem("theme", theme);
  } catch {
    /* as above */
  }
}

const root = document.documentElement;

function show(theme) {
  root.dataset.theme = theme;
  document.getElementById("theme")?.setAttribute("aria-pressed", String(theme === "dark"));
}

function followed() {
  return storedTheme() ?? (dark.matches ? "dark" : "light");
}

show(followed());
dark.addEventListener("change", () => show(followed()));
document.addEventListener("DOMContentLoaded", () => {
  show(root.dataset.theme);
  document.getElementById("theme").addEventListener("click", () => {
    const next = root.dataset.theme === "dark" ? "light" : "dark";
    keepTheme(next);
    show(next);
  });
});
