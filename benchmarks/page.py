"""The page's fixed parts: style, structure, and the script that steps through the pictures."""

from __future__ import annotations

VIEWER = """
<section id=viewer tabindex=0 aria-label="side-by-side pictures">
<p class=bar><button id=previous>◀</button> <span id=where></span> <button id=next>▶</button>
<label>clip <select id=clips></select></label>
<label><input type=checkbox id=flip> one at a time</label></p>
<div id=pictures></div>
<p class=note>Crops of the centre at their own size, each codec at its measured point nearest to
$BPP bpp. Keys: ← → pictures, ↑ ↓ clips, F one at a time, 1–9 which one, Z zoom.</p>
</section>"""

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8882}
body{font:16px/1.5 system-ui,sans-serif;max-width:1180px;margin:0 auto;padding:1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}
th,td{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:right}
th:first-child,td:first-child{text-align:left}
tbody tr:hover{background:var(--soft)}
.note{font-size:.85rem;opacity:.8}.plot{width:100%;background:#fff}
#viewer{outline-offset:4px}.bar{display:flex;gap:1rem;align-items:center;flex-wrap:wrap}
#pictures{display:flex;flex-wrap:wrap;gap:8px}
figure{margin:0}figcaption{font-size:.8rem;max-width:320px;min-height:3.2em}
figure img{display:block;image-rendering:pixelated}
.zoom figure img{width:640px}.zoom figcaption{max-width:640px}
.flip figure{display:none}.flip figure.shown{display:block}
"""

_SCRIPT = """
const scenes = JSON.parse(document.getElementById('scenes').textContent);
const byId = id => document.getElementById(id);
let scene = 0, shown = 0;
function show(step) {
  scene = (scene + step + scenes.length) % scenes.length;
  const s = scenes[scene];
  byId('where').textContent =
    `${s.clip}, frame ${s.frame} (${scene + 1} of ${scenes.length})`;
  byId('clips').value = s.clip;
  shown = Math.min(shown, s.pictures.length - 1);
  byId('pictures').replaceChildren(...s.pictures.map((p, i) => {
    const figure = document.createElement('figure');
    const image = new Image();
    image.src = p.uri;
    image.alt = p.label;
    const caption = document.createElement('figcaption');
    const name = document.createElement('b');
    name.textContent = `${i + 1} ${p.label}`;
    caption.append(name, document.createElement('br'), p.note);
    figure.append(caption, image);
    figure.classList.toggle('shown', i === shown);
    return figure;
  }));
}
function clip(step) {
  const names = [...new Set(scenes.map(s => s.clip))];
  const at = names.indexOf(scenes[scene].clip);
  const name = names[(at + step + names.length) % names.length];
  scene = scenes.findIndex(s => s.clip === name);
  show(0);
}
function flip(on) {
  byId('flip').checked = on;
  byId('pictures').classList.toggle('flip', on);
}
const keys = {
  ArrowRight: () => show(1), ArrowLeft: () => show(-1),
  ArrowDown: () => clip(1), ArrowUp: () => clip(-1),
  f: () => flip(!byId('flip').checked), z: () => byId('pictures').classList.toggle('zoom'),
};
if (scenes.length) {
  byId('clips').append(...[...new Set(scenes.map(s => s.clip))].map(n => new Option(n, n)));
  byId('clips').onchange = e => {
    scene = scenes.findIndex(s => s.clip === e.target.value);
    show(0);
    byId('viewer').focus();
  };
  byId('next').onclick = () => show(1);
  byId('previous').onclick = () => show(-1);
  byId('flip').onchange = e => flip(e.target.checked);
  // On the page, arrows up and down scroll; they change clips where the viewer has the focus.
  document.addEventListener('keydown', e => {
    if (e.ctrlKey || e.altKey || e.metaKey || e.target.tagName === 'SELECT') return;
    const vertical = e.key === 'ArrowUp' || e.key === 'ArrowDown';
    if (vertical && !byId('viewer').contains(document.activeElement)) return;
    if (/^[1-9]$/.test(e.key)) {
      shown = Math.min(e.key - 1, scenes[scene].pictures.length - 1);
      show(0);
    } else if (keys[e.key]) keys[e.key]();
    else return;
    e.preventDefault();
  });
  show(0);
}
"""

DOCUMENT = f"""<!DOCTYPE html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content="width=device-width,initial-scale=1">
<title>$TITLE</title>
<link rel=icon href="data:,">
<style>{_STYLE}</style>
<body>
$BODY
<script id=scenes type="application/json">$SCENES</script>
<script>{_SCRIPT}</script>
</body>
</html>
"""
