// Draws every figure of the page in the colours of the reader's scheme, and again when that changes.
"use strict";
(function () {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const themes = read("themes");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const config = { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "resetScale2d"]] };
  function draw() {
    const template = themes[dark.matches ? "dark" : "light"];
    for (const place of document.querySelectorAll("[data-figure]")) {
      const figure = read(place.dataset.figure);
      place.replaceChildren();
      Plotly.newPlot(place, figure.data, { ...figure.layout, template }, config);
    }
  }
  draw();
  dark.addEventListener("change", draw);
})();
