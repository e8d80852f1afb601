(function () {
  "use strict";
  var specs = JSON.parse(document.getElementById("specs").textContent);
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var narrow = window.matchMedia("(max-width: 46rem)");
  var plots = Array.prototype.slice.call(document.querySelectorAll(".plot"));

  function themed(spec, light) {
    var layout = JSON.parse(JSON.stringify(spec.layout));
    var ink = light ? "#1c2024" : "#e6e8ea", line = light ? "#dfe2e5" : "#333a41";
    layout.font = { color: ink, size: 13, family: getComputedStyle(document.body).fontFamily };
    Object.keys(layout).filter(function (name) { return /^[xy]axis/.test(name); }).forEach(function (name) {
      layout[name].gridcolor = line;
      layout[name].linecolor = line;
      layout[name].automargin = true;
    });
    layout.hoverlabel = { bgcolor: light ? "#ffffff" : "#1d2126", bordercolor: line, font: { color: ink } };
    return layout;
  }

  function paint(light) {
    if (typeof Plotly === "undefined") { return; }
    plots.forEach(function (place) {
      var spec = specs[place.dataset.figure];
      Plotly.react(place, spec.data, themed(spec, light), { responsive: true, displayModeBar: false });
    });
  }

  function follow() { paint(!dark.matches); }
  follow();
  dark.addEventListener("change", follow);
  narrow.addEventListener("change", follow);
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (one) { one.open = true; });
    paint(true);
  });
  window.addEventListener("afterprint", follow);

  var buttons = Array.prototype.slice.call(document.querySelectorAll("button[data-filter]"));
  var rows = Array.prototype.slice.call(document.querySelectorAll("tr[data-tags]"));
  buttons.forEach(function (button) {
    button.addEventListener("click", function () {
      var wanted = button.dataset.filter, count = 0;
      buttons.forEach(function (one) { one.setAttribute("aria-pressed", String(one === button)); });
      rows.forEach(function (row) {
        row.hidden = wanted !== "all" && row.dataset.tags.split(" ").indexOf(wanted) < 0;
        count += row.hidden ? 0 : 1;
      });
      document.getElementById("shown").textContent = count + " prompts shown";
    });
  });
})();
