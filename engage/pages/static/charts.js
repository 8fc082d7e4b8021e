// Draws each chart from its description, with a tooltip for the pointer and the arrow keys. The description is that of
// engage/pages/charts.py; the drawing of the server stays where this script does not run.
"use strict";

(() => {
  const MARGIN = { left: 48, right: 14, top: 40, bottom: 44 }; // as engage/pages/chart_svg.py
  const TEXT_PX = 12;
  const NARROW_PX = 60; // no room for a word
  const BAND_OPACITY = 0.13; // as .band in page.css
  const figures = new Map(); // the drawn charts by their figure

  // Colours as the style sheet has them at the moment, as #rrggbb, which is what ECharts reads.
  function palette(figure) {
    const probe = document.createElement("span");
    const pixel = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
    const context = pixel.getContext("2d", { willReadFrequently: true });
    const known = {};
    const read = (property, tone = "") => {
      const key = property + tone;
      if (!known[key]) {
        figure.append(probe);
        probe.className = tone && `tone-${tone}`;
        probe.style.color = `var(${property})`;
        context.fillStyle = getComputedStyle(probe).color;
        probe.remove();
        context.fillRect(0, 0, 1, 1);
        known[key] = `#${[...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((n) => n.toString(16).padStart(2, "0")).join("")}`;
      }
      return known[key];
    };
    return read;
  }

  const rect = (api, [left, right], [bottom, top]) => {
    const [x, y] = api.coord([left, top]);
    const [right_, floor] = api.coord([right, bottom]);
    return { x, y, width: Math.max(0, right_ - x), height: Math.max(0, floor - y) };
  };

  // One column or bin: its parts from below, and a ground over the full height that shows where the pointer is.
  function bin(spec, one, colour, api) {
    const across = [one.from, one.to];
    const ground = rect(api, across, [spec.y.least, spec.y.most]);
    const children = [{
      type: "rect",
      shape: ground,
      style: one.gap ? { fill: "transparent", stroke: colour("--muted"), lineDash: [3, 3] } : { fill: "transparent" },
      emphasis: { style: { fill: colour("--line") } },
    }];
    let below = 0;
    one.parts.forEach((part) => {
      const shape = rect(api, across, [below, below + part.value]);
      children.push({ type: "rect", shape, style: { fill: colour("--shape", part.tone), stroke: colour("--panel") } });
      below += part.value;
    });
    if (one.gap && ground.width > NARROW_PX / 1.5) {
      const style = { text: one.gap, fill: colour("--muted"), fontSize: TEXT_PX, align: "center", verticalAlign: "middle" };
      children.push({ type: "text", x: ground.x + ground.width / 2, y: ground.y + ground.height / 2, style });
    }
    return { type: "group", children };
  }

  const cell = (one, colour, api) => ({
    type: "rect",
    shape: rect(api, one.x, one.y),
    style: { fill: colour("--shape", one.tone), stroke: colour("--panel"), opacity: one.strength },
    emphasis: { style: { stroke: colour("--fg"), lineWidth: 2, opacity: 1 } },
  });

  // Thresholds and the names of the buckets, above everything else.
  function overlay(spec, colour, api) {
    const { x, y, label, from } = spec.thresholds || {};
    const style = { stroke: colour("--threshold"), lineWidth: 1.5, lineDash: [4, 3] };
    const strong = { fill: colour("--fg"), fontSize: TEXT_PX, fontWeight: 600 };
    const line = (start, end) => {
      const [x1, y1] = api.coord(start);
      const [x2, y2] = api.coord(end);
      return { type: "line", shape: { x1, y1, x2, y2 }, style };
    };
    const [left, floor] = api.coord([spec.x.least, spec.y.least]);
    const [right, ceiling] = api.coord([spec.x.most, spec.y.most]);
    const children = [];
    (spec.bands || []).forEach((band) => {
      const shape = rect(api, [band.from, band.to], [band.low, band.high]);
      children.push({ type: "rect", shape, style: { fill: colour("--fg"), opacity: BAND_OPACITY } });
    });
    if (x !== undefined) {
      const at = api.coord([x, spec.y.most])[0];
      const align = at > left + 0.6 * (right - left) ? "right" : "left";
      children.push(line([x, spec.y.least], [x, spec.y.most]));
      children.push({ type: "text", x: at + (align === "left" ? 5 : -5), y: ceiling - 18, style: { ...strong, text: label, align } });
    }
    if (y !== undefined) children.push(line([from, y], [spec.x.most, y]));
    (spec.levels || []).forEach((level) => children.push(line([level.from, level.y], [level.to, level.y])));
    (spec.regions || []).forEach(({ name, at }) => {
      const [edge, align] = at.split(" ");
      if (align === "left" && api.coord([x ?? spec.x.most, 0])[0] - left < NARROW_PX) return;
      const place = { x: align === "left" ? left + 6 : right - 6, y: edge === "top" ? ceiling + 4 : floor - 18 };
      children.push({ type: "text", ...place, style: { ...strong, text: name, align } });
    });
    return { type: "group", children };
  }

  function axis(scale, colour, more) {
    const names = new Map(scale.ticks);
    return {
      type: "value",
      min: scale.least,
      max: scale.most,
      name: scale.title,
      nameTextStyle: { color: colour("--muted"), fontSize: TEXT_PX },
      axisTick: { show: false },
      axisLine: { show: false },
      axisLabel: {
        color: colour("--muted"), fontSize: TEXT_PX, hideOverlap: true,
        customValues: [...names.keys()], formatter: (value) => names.get(value) ?? "",
      },
      ...more,
    };
  }

  // What a tooltip shows and a screen reader says.
  function lines(spec, index) {
    const one = (spec.bins || spec.cells)[index];
    if (spec.cells) return one.name.split("\n").map((text) => ({ text }));
    if (one.gap) return [{ text: one.name }, { text: one.gap }];
    return [{ text: one.name }, ...[...one.parts].reverse().map(({ tone, name, text }) => ({ tone, text: `${name} ${text}` }))];
  }

  function tooltip(spec, colour) {
    const tones = new Set((spec.bins || []).flatMap((one) => one.parts.map((part) => part.tone)));
    const rich = Object.fromEntries([...tones].map((tone) => [tone, { color: colour("--shape", tone) }]));
    return {
      renderMode: "richText", // as HTML it would need inline styles
      confine: true,
      backgroundColor: colour("--bg"),
      borderColor: colour("--line"),
      padding: [8, 12],
      textStyle: { color: colour("--fg"), fontSize: 13, lineHeight: 19, rich: { ...rich, head: { fontWeight: 600 } } },
      formatter: ({ dataIndex }) => lines(spec, dataIndex)
        .map(({ tone, text }, n) => (tone ? `{${tone}|■} ${text}` : n ? text : `{head|${text}}`)).join("\n"),
    };
  }

  function option(figure, spec, colour) {
    const items = spec.bins || spec.cells;
    const middle = (one) => (spec.bins ? [(one.from + one.to) / 2, spec.y.least] : [one.x[0], one.y[0]]);
    const [first, second] = spec.y.ticks.map(([value]) => value);
    const grid = { show: true, lineStyle: { color: colour("--line") } };
    return {
      animation: false,
      grid: { ...MARGIN, outerBoundsMode: "none" },
      textStyle: { fontFamily: getComputedStyle(figure).fontFamily },
      xAxis: axis(spec.x, colour, { nameLocation: "middle", nameGap: 28, splitLine: { show: false } }),
      yAxis: axis(spec.y, colour, {
        nameLocation: "end", nameGap: 24, interval: second - first, splitLine: { ...grid, showMaxLine: spec.y.ticks.at(-1)[0] === spec.y.most },
        nameTextStyle: { color: colour("--muted"), fontSize: TEXT_PX, align: "left", padding: [0, 0, 0, -MARGIN.left] },
      }),
      tooltip: tooltip(spec, colour),
      series: [
        {
          type: "custom",
          data: items.map(middle),
          renderItem: ({ dataIndex }, api) => (spec.bins ? bin(spec, items[dataIndex], colour, api) : cell(items[dataIndex], colour, api)),
        },
        { type: "custom", silent: true, z: 3, tooltip: { show: false }, data: [[spec.x.least, spec.y.least]], renderItem: (_, api) => overlay(spec, colour, api) },
      ],
    };
  }

  // The bin, or the cell, to which an arrow key leads. A heat map leaves out its empty cells.
  function next(spec, index, key) {
    const items = spec.bins || spec.cells;
    if (key === "Home") return 0;
    if (key === "End") return items.length - 1;
    if (spec.bins) return index + ({ ArrowLeft: -1, ArrowRight: 1 }[key] || 0);
    const { column, row } = items[index];
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
    const ahead = items.map((one, n) => ({ n, steps: dx ? (one.column - column) * dx : (one.row - row) * dy, same: dx ? one.row === row : one.column === column }));
    return ahead.filter(({ same, steps }) => same && steps > 0).sort((a, b) => a.steps - b.steps)[0]?.n ?? index;
  }

  function keyboard(plot, spec, chart) {
    const said = Object.assign(document.createElement("p"), { className: "unseen" });
    said.setAttribute("aria-live", "polite");
    plot.after(said);
    let index = -1;
    const leave = () => {
      chart.dispatchAction({ type: "downplay", seriesIndex: 0 });
      chart.dispatchAction({ type: "hideTip" });
    };
    const show = (to) => {
      leave();
      index = Math.min(Math.max(to, 0), (spec.bins || spec.cells).length - 1);
      chart.dispatchAction({ type: "highlight", seriesIndex: 0, dataIndex: index });
      chart.dispatchAction({ type: "showTip", seriesIndex: 0, dataIndex: index });
      said.textContent = lines(spec, index).map(({ text }) => text).join(", ");
    };
    plot.addEventListener("keydown", (event) => {
      if (event.key === "Escape") leave();
      if (!/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(event.key)) return;
      event.preventDefault();
      show(index < 0 ? 0 : next(spec, index, event.key));
    });
    plot.addEventListener("blur", leave);
  }

  function draw(figure) {
    const spec = JSON.parse(figure.dataset.chart);
    if (!(spec.bins || spec.cells).length) return;
    const plot = figure.querySelector(".plot");
    const words = plot.querySelector("[role=img]").getAttribute("aria-label");
    plot.replaceChildren();
    plot.tabIndex = 0;
    plot.setAttribute("role", "application");
    plot.setAttribute("aria-roledescription", "chart");
    plot.setAttribute("aria-label", `${words} The arrow keys move through it.`);
    const chart = echarts.init(plot, null, { renderer: "svg" });
    const colour = palette(figure);
    chart.setOption(option(figure, spec, colour));
    keyboard(plot, spec, chart);
    const observer = new ResizeObserver(() => chart.resize());
    observer.observe(plot);
    figures.set(figure, { chart, spec, observer, colour });
  }

  // Draws the charts that are new in a part of the page, and forgets those that have left it.
  function drawCharts(root = document) {
    figures.forEach(({ chart, observer }, figure) => {
      if (figure.isConnected) return;
      observer.disconnect();
      chart.dispose();
      figures.delete(figure);
    });
    root.querySelectorAll("figure[data-chart]").forEach((figure) => figures.has(figure) || draw(figure));
  }

  function recolour() {
    figures.forEach((known, figure) => {
      known.colour = palette(figure);
      known.chart.setOption(option(figure, known.spec, known.colour));
    });
  }

  Object.assign(engage, { drawCharts });
  document.addEventListener("engage:theme", recolour);
  ["(prefers-color-scheme: dark)", "(forced-colors: active)"].forEach((query) =>
    window.matchMedia(query).addEventListener("change", recolour));
  document.addEventListener("DOMContentLoaded", () => drawCharts());
})();
