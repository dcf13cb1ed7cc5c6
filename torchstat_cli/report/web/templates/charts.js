"use strict";
// The library is unpacked after the first paint: text and table do not wait for it.
(async () => {
  const packed = Uint8Array.from(atob(document.getElementById("library").textContent), (c) => c.charCodeAt(0));
  const script = document.createElement("script");
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  script.textContent = await new Response(unpacked).text();
  document.head.append(script);

  const figures = JSON.parse(document.getElementById("figures").textContent);
  const config = { responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "" };
  const memory = document.getElementById("memory");
  const tree = document.getElementById("tree");
  const kind = document.getElementById("kind");
  const metric = document.getElementById("metric");

  function themed(layout) {
    const style = getComputedStyle(document.querySelector(".modelstat"));
    const paper = getComputedStyle(document.body).backgroundColor;
    const grid = "rgba(128,128,128,.3)";
    const short = { forward: "fwd", backward: "bwd", optimizer: "opt" };
    const narrow = document.body.clientWidth < 700;
    const said = (note) => (narrow && note.yref ? { ...note, text: note.text.replace(/^[a-z]+/, (word) => short[word] ?? word) } : note);
    const axis = (own) => ({ gridcolor: grid, zerolinecolor: grid, linecolor: grid, ...own });
    return {
      ...layout,
      annotations: (layout.annotations ?? []).map(said),
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: style.color, family: "system-ui, sans-serif", size: 13 },
      hoverlabel: { bgcolor: paper, font: { color: style.color } },
      xaxis: axis(layout.xaxis),
      yaxis: axis(layout.yaxis),
    };
  }

  async function drawTree() {
    const areas = { ...figures.tree[metric.value], type: kind.value, ...figures.leaves[kind.value] };
    const margin = { t: 10, l: 0, r: 0, b: 0 };
    await Plotly.react(tree, [areas], themed({ margin }), config);
  }

  async function draw() {
    if (memory) await Plotly.react(memory, figures.memory.data, themed(figures.memory.layout), config);
    await drawTree();
    document.documentElement.dataset.drawn = "true";
  }

  kind.addEventListener("change", drawTree);
  metric.addEventListener("change", drawTree);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  await draw();
})();
