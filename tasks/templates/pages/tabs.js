"use strict";
// Turns the links to the parts of a report's page into tabs, and copies its Markdown. Without this
// script the page shows all parts.
(() => {
  const list = document.querySelector("[data-tabs]");
  if (!list) return;
  const tabs = [...list.querySelectorAll("a")];
  const panels = tabs.map((tab) => document.getElementById(tab.hash.slice(1)));
  if (panels.includes(null)) return;

  const show = (chosen) => {
    tabs.forEach((tab, n) => {
      tab.setAttribute("aria-selected", String(n === chosen));
      tab.tabIndex = n === chosen ? 0 : -1;
      panels[n].hidden = n !== chosen;
    });
  };
  const choose = (chosen) => {
    show(chosen);
    tabs[chosen].focus();
    history.replaceState(null, "", tabs[chosen].hash);
  };
  const follow = () => {
    let name = location.hash.slice(1);
    try {
      name = decodeURIComponent(name);
    } catch {
      return;
    }
    const target = name && document.getElementById(name);
    const chosen = panels.findIndex((panel) => target && panel.contains(target));
    if (chosen < 0) return;
    show(chosen);
    if (target !== panels[chosen]) target.scrollIntoView();
  };

  list.setAttribute("role", "tablist");
  tabs.forEach((tab, n) => {
    tab.id = "tab-" + panels[n].id;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panels[n].id);
    panels[n].setAttribute("role", "tabpanel");
    panels[n].setAttribute("aria-labelledby", tab.id);
    if (!panels[n].querySelector("a, summary, [tabindex]")) panels[n].tabIndex = 0;
    tab.addEventListener("click", (event) => {
      event.preventDefault();
      choose(n);
    });
    tab.addEventListener("keydown", (event) => {
      const steps = { ArrowRight: n + 1, ArrowLeft: n - 1, Home: 0, End: tabs.length - 1 };
      if (event.key === " ") {
        event.preventDefault();
        choose(n);
      } else if (Object.hasOwn(steps, event.key)) {
        event.preventDefault();
        choose((steps[event.key] + tabs.length) % tabs.length);
      }
    });
  });
  show(0);
  follow();
  addEventListener("hashchange", follow);
})();
(() => {
  const button = document.querySelector("[data-copy]");
  const source = button && document.querySelector(button.dataset.copy);
  const said = document.querySelector("[data-copied]");
  if (!source || !said) return;
  const marked = () => {
    getSelection().selectAllChildren(source);
    return document.execCommand("copy");
  };
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      return true;
    } catch {
      return marked(); // a page without HTTPS may not write to the clipboard itself
    }
  };
  button.addEventListener("click", async () => {
    said.textContent = "";
    said.textContent = (await copy()) ? "Copied." : "Not copied: press Ctrl+C or Cmd+C.";
  });
  button.hidden = false;
})();
(() => {
  const page = document.documentElement;
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") page.dataset.quiet = "";
  });
  for (const name of ["pointermove", "focusin"]) {
    addEventListener(name, () => {
      if (!document.querySelector(".footnote-ref:hover")) delete page.dataset.quiet;
    });
  }
})();
