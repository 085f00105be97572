// Legend entries hide and show their series. Without this script every series is simply shown.
for (const entry of document.querySelectorAll(".legend [data-series]")) {
  const figure = entry.closest("figure");
  const name = "hide-" + entry.dataset.series;
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-pressed", "true");
  button.title = "Hide or show";
  button.append(...entry.childNodes);
  entry.append(button);
  button.addEventListener("click", () => {
    const hidden = figure.classList.toggle(name);
    for (const twin of figure.querySelectorAll(`[data-series="${entry.dataset.series}"] button`)) {
      twin.setAttribute("aria-pressed", String(!hidden));
    }
  });
}
