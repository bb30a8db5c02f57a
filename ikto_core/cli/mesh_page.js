"use strict";
// Draws the page of `ikto mesh --html`. Foreign text is only ever set as text: textContent, fillText.
const data = JSON.parse(document.getElementById("data").textContent);
const { mesh, rows, words, links } = data, nodes = mesh.nodes, count = nodes.length;
const troubled = new Set(data.troubled), byId = (id) => document.getElementById(id);
const GLYPHS = { active: "A", idle: "i", never: ".", stalled: "S", down: "x", absent: "m", unknown: "?" };
const RECEIVES = { active: 2, half_open: 1 }, FEW = 60, MANY_LINKS = 120, CLOCK_S = 2;
let selected = -1, hovered = -1;

const word = (row, column) => (rows[row][column] === "-" ? null : words[Number(rows[row][column])]);
const link = (row, column) => links[rows[row][column] + rows[column][row]];
const plain = (text) => text.replace("_", "-");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const palette = () => Object.fromEntries([...data.order, "line", "text", "faint", "accent", "card"].map((n) => [n, colour(n)]));

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function isBad(node) {
  return !node.answered || node.state !== "ready" || Boolean(node.lag || node.quarantined || node.pending_removals) ||
    node.refused_answers > 0 || Math.abs(node.clock_offset_s) > CLOCK_S;
}

function glyph(row, column) {
  const state = link(row, column);
  if (state !== "one_way") return GLYPHS[state];
  return (RECEIVES[word(row, column)] || 0) >= (RECEIVES[word(column, row)] || 0) ? ">" : "<";
}

function say(row, column) {
  const says = (a, b) => `${nodes[a].name} says ${word(a, b) ? plain(word(a, b)) : "nothing"}`;
  return `${nodes[row].name} and ${nodes[column].name}: ${plain(link(row, column))}. ` +
    `${says(row, column)}; ${says(column, row)}.`;
}

// -- facts and tables ---------------------------------------------------------------------------------------------

function showFacts() {
  const answered = count - mesh.missing, when = new Date(mesh.asked_at).toISOString().replace(/\.\d+Z/, "Z");
  document.title = `${mesh.bucket}: ${answered} of ${count} nodes`;
  byId("title").textContent = `Mesh ${mesh.bucket}`;
  for (const fact of [`${count} nodes, ${answered} answered`, `revision ${mesh.revision}`, `asked at ${when}`,
    `answers in ${mesh.took_s} s`]) byId("facts").append(element("span", fact));
  for (const state of data.order) {
    const shown = element("span", `${plain(state)} ${mesh.links[state] || 0}`);
    shown.style.setProperty("--colour", `var(--${state})`);
    byId("legend").append(shown);
  }
}

function nodeRow(node, number) {
  const row = element("tr", undefined, isBad(node) ? "bad" : ""), cells = [node.name, node.allowed_ips.join(", ")];
  if (node.answered) {
    const hears = Object.entries(node.heard).map(([name, many]) => `${many} ${plain(name)}`).join(", ");
    const clock = Math.abs(node.clock_offset_s) > CLOCK_S ? `${node.clock_offset_s.toFixed(1)} s` : "ok";
    const revision = (node.revision ?? "none") + (node.lag ? ` (${node.lag} behind)` : "");
    cells.push(node.state, node.version, revision, node.quarantined, clock, hears);
  } else cells.push("no answer", "", "", "", "", "");
  if (node.refused_answers) cells[7] += ` ${node.refused_answers} answers refused`;
  cells.forEach((cell, at) => row.append(element("td", String(cell), at < 2 || at === 7 ? "wide" : "")));
  row.append(element("td", node.public_key, "key"));
  row.addEventListener("click", () => select(number));
  row.dataset.text = `${node.name} ${node.allowed_ips.join(" ")} ${node.public_key}`.toLowerCase();
  return row;
}

function showTables() {
  const body = byId("nodes").tBodies[0];
  body.append(...nodes.map(nodeRow));
  byId("bad").checked = count > 100 && nodes.some(isBad);
  const filter = () => {
    const text = byId("find").value.toLowerCase(), only = byId("bad").checked;
    [...body.rows].forEach((row, number) => {
      row.hidden = (only && !isBad(nodes[number])) || !row.dataset.text.includes(text);
    });
  };
  byId("find").addEventListener("input", filter);
  byId("bad").addEventListener("change", filter);
  filter();
  const total = mesh.troubled.length + mesh.troubled_left_out, shown = mesh.troubled.slice(0, 500);
  byId("key").textContent = "Hollow: no answer. Orange: a node in trouble." + (count > MANY_LINKS
    ? " Tunnels that are not in trouble are drawn for the node that you click." : "");
  byId("troubled-title").textContent = `Tunnels in trouble: ${total}` +
    (total > shown.length ? `, of which ${shown.length} are listed` : "");
  byId("troubled").tBodies[0].append(...shown.map((found) => {
    const row = element("tr"), [first, second] = found.nodes, says = found.words.map((said) => (said ? plain(said) : "nothing"));
    [plain(found.link), nodes[first].name, says[0], nodes[second].name, says[1], found.asymmetric ? "asymmetric" : ""]
      .forEach((cell, at) => row.append(element("td", cell, at === 1 || at === 3 ? "wide" : "")));
    row.addEventListener("click", () => select(first));
    return row;
  }));
}

// -- drawings -----------------------------------------------------------------------------------------------------

function prepared(canvas, width, height) {
  const scale = window.devicePixelRatio || 1, context = canvas.getContext("2d");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

const short = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);
let cellSize = 1, labelWidth = 0;

function drawMatrix() {
  const canvas = byId("matrix"), width = canvas.parentElement.clientWidth - 34, colours = palette();
  labelWidth = count <= FEW ? 120 : 0;
  cellSize = Math.max(1, Math.min(26, Math.floor((width - labelWidth) / Math.max(count, 1))));
  const side = cellSize * count;
  canvas.style.width = `${Math.min(labelWidth + side, Math.max(width, side))}px`;
  const context = prepared(canvas, labelWidth + side, side);
  context.textBaseline = "middle";
  const gap = cellSize > 4 ? 1 : 0;
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < count; column++) {
      if (row === column) continue;
      const dim = selected >= 0 && row !== selected && column !== selected;
      context.globalAlpha = dim ? 0.25 : 1;
      context.fillStyle = colours[link(row, column)];
      context.fillRect(labelWidth + column * cellSize, row * cellSize, cellSize - gap, cellSize - gap);
      if (cellSize >= 12) {
        context.fillStyle = colours.text;
        context.textAlign = "center";
        context.font = `${Math.round(cellSize * 0.55)}px ui-monospace, monospace`;
        context.fillText(glyph(row, column), labelWidth + (column + 0.5) * cellSize, (row + 0.52) * cellSize);
      }
    }
    if (labelWidth) {
      context.globalAlpha = 1;
      context.fillStyle = nodes[row].answered ? colours.text : colours.down;
      context.textAlign = "right";
      context.font = `${Math.max(8, Math.min(13, cellSize - 1))}px system-ui, sans-serif`;
      context.fillText(short(nodes[row].name, 17), labelWidth - 6, (row + 0.5) * cellSize);
    }
  }
  if (cellSize < 3) markTrouble(context, colours);
  canvas.setAttribute("aria-label", `${count} nodes: ` +
    data.order.map((state) => `${mesh.links[state] || 0} tunnels ${plain(state)}`).join(", "));
}

// Cells of a pixel or two would not be seen: those in trouble are drawn larger.
function markTrouble(context, colours) {
  for (const found of [...mesh.troubled].reverse()) {
    for (const [row, column] of [found.nodes, [...found.nodes].reverse()]) {
      context.globalAlpha = selected >= 0 && row !== selected && column !== selected ? 0.25 : 1;
      context.fillStyle = colours[found.link];
      context.fillRect(column * cellSize - 1, row * cellSize - 1, 4, 4);
    }
  }
  context.globalAlpha = 1;
}

function places(size) {
  const radius = size / 2 - (count <= FEW ? 64 : 18);
  return nodes.map((_, number) => {
    const angle = (2 * Math.PI * number) / Math.max(count, 1) - Math.PI / 2;
    return [size / 2 + radius * Math.cos(angle), size / 2 + radius * Math.sin(angle), angle];
  });
}

function drawMap() {
  const canvas = byId("map"), size = canvas.clientWidth || 300, colours = palette(), at = places(size);
  const context = prepared(canvas, size, size);
  const edge = (first, second, state) => {
    context.strokeStyle = colours[state];
    context.lineWidth = troubled.has(state) ? 1.6 : 0.7;
    context.beginPath();
    context.moveTo(at[first][0], at[first][1]);
    context.lineTo(at[second][0], at[second][1]);
    context.stroke();
  };
  const wanted = (first, second) => selected < 0 || first === selected || second === selected;
  if (count <= MANY_LINKS || selected >= 0) {
    context.globalAlpha = count > 25 && selected < 0 ? 0.35 : 0.8;
    for (let first = 0; first < count; first++) {
      for (let second = first + 1; second < count; second++) {
        const state = link(first, second);
        if (wanted(first, second) && !troubled.has(state) && state !== "unknown") edge(first, second, state);
      }
    }
  }
  context.globalAlpha = selected < 0 ? Math.max(0.08, Math.min(0.95, 200 / (mesh.troubled.length + 1))) : 0.95;
  for (const found of [...mesh.troubled].reverse()) if (wanted(...found.nodes)) edge(...found.nodes, found.link);
  context.globalAlpha = 1;
  const dot = count > 300 ? 2 : count > 60 ? 4 : 7;
  at.forEach(([x, y, angle], number) => {
    context.beginPath();
    context.arc(x, y, number === selected || number === hovered ? dot + 3 : dot, 0, 2 * Math.PI);
    context.fillStyle = nodes[number].answered ? (isBad(nodes[number]) ? colours.one_way : colours.accent) : colours.card;
    context.fill();
    context.lineWidth = 1.5;
    context.strokeStyle = nodes[number].answered ? colours.card : colours.down;
    context.stroke();
    if (count <= FEW || number === selected || number === hovered) label(context, colours, number, x, y, angle, dot);
  });
  canvas.setAttribute("aria-label", `${count} nodes in a circle, with ${mesh.troubled.length} tunnels in trouble`);
}

function label(context, colours, number, x, y, angle, dot) {
  const right = Math.cos(angle) >= -0.01;
  context.font = "12px system-ui, sans-serif";
  context.textAlign = Math.abs(Math.cos(angle)) < 0.15 ? "center" : right ? "left" : "right";
  context.textBaseline = "middle";
  context.fillStyle = colours.text;
  context.fillText(short(nodes[number].name, 10), x + (dot + 5) * Math.cos(angle), y + (dot + 9) * Math.sin(angle));
}

// -- pointing -----------------------------------------------------------------------------------------------------

function cellAt(event) {
  const box = byId("matrix").getBoundingClientRect(), scale = (labelWidth + cellSize * count) / box.width;
  const column = Math.floor(((event.clientX - box.left) * scale - labelWidth) / cellSize);
  const row = Math.floor(((event.clientY - box.top) * scale) / cellSize);
  return row >= 0 && row < count && column < count ? [row, column] : null;
}

function nodeAt(event) {
  const box = byId("map").getBoundingClientRect();
  let best = -1, nearest = 24 ** 2;
  places(box.width).forEach(([x, y], number) => {
    const distance = (event.clientX - box.left - x) ** 2 + (event.clientY - box.top - y) ** 2;
    if (distance < nearest) [best, nearest] = [number, distance];
  });
  return best;
}

function select(number) {
  selected = selected === number ? -1 : number;
  [...byId("nodes").tBodies[0].rows].forEach((row, at) => row.classList.toggle("selected", at === selected));
  draw();
}

function draw() {
  drawMatrix();
  drawMap();
}

byId("matrix").addEventListener("mousemove", (event) => {
  const at = cellAt(event);
  if (at) byId("told").textContent = at[1] < 0 || at[0] === at[1] ? nodes[at[0]].name : say(...at);
});
byId("matrix").addEventListener("click", (event) => {
  const at = cellAt(event);
  if (at) select(at[0]);
});
byId("map").addEventListener("mousemove", (event) => {
  const found = nodeAt(event);
  if (found === hovered) return;
  hovered = found;
  if (found >= 0) byId("told").textContent = nodes[found].name;
  drawMap();
});
byId("map").addEventListener("click", (event) => {
  const found = nodeAt(event);
  if (found >= 0) select(found);
});
window.addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
showFacts();
showTables();
draw();
document.body.dataset.ready = "yes";
