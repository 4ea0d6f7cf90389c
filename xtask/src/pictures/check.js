// Runs inside a copy of a picture, after `const isTerminal`. Measures the texts in the browser's
// layout, and replaces the picture with a report: the number of texts, then a line for each problem.
{
  // The same values as in crates/everstream-cli/tests/common/svg.rs.
  const COLUMN = 8.4, ROW = 18, MARGIN = 12, FIRST_BASELINE = 41.5, TITLE_BASELINE = 19;
  // Largest distance of a letter from its column, in pixels.
  const TOLERANCE = 1;
  // Largest relative difference between the width of a text and that of its letters.
  const STRETCH = 0.05;
  // Text closer to the left or right edge would be cut off in a slightly wider font.
  const EDGE = 8;
  const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/;

  const root = document.documentElement;
  const texts = [...root.querySelectorAll("text")];
  const near = (a, b) => Math.abs(a - b) <= TOLERANCE;
  const quoted = (text) => JSON.stringify(text.textContent);

  function* problems(text) {
    const source = text.textContent;
    const count = text.getNumberOfChars();
    if (count !== source.length) yield `spaces collapse: ${source.length} characters, ${count} drawn`;
    const { x, y, width, height } = text.getBBox();
    const view = root.viewBox.baseVal;
    if (y < 0 || y + height > view.height) yield "leaves the picture";
    if (x < EDGE || x + width > view.width - EDGE) yield "is too close to the edge";
    if (isTerminal) yield* problemsInTerminal(text, source, count);
  }

  function* problemsInTerminal(text, source, count) {
    const [left, baseline] = ["x", "y"].map((name) => Number(text.getAttribute(name)));
    const isOn = (position, first, step) =>
      near(position, first + Math.round((position - first) / step) * step);
    if (!isOn(left, MARGIN, COLUMN)) yield "begins between two columns";
    if (baseline !== TITLE_BASELINE && !isOn(baseline, FIRST_BASELINE, ROW)) yield "is between two rows";

    let column = left;
    for (let at = 0; at < Math.min(source.length, count); at++) {
      const drawn = text.getStartPositionOfChar(at).x;
      if (!near(drawn, column)) {
        yield `character ${at} is at ${drawn.toFixed(1)}, its column at ${column.toFixed(1)}`;
        break;
      }
      column += WIDE.test(source[at]) ? 2 * COLUMN : COLUMN;
    }
    const natural = text.cloneNode(true);
    natural.removeAttribute("textLength");
    text.after(natural);
    const ratio = text.getBBox().width / natural.getBBox().width;
    natural.remove();
    if (Math.abs(ratio - 1) > STRETCH) yield `is ${ratio.toFixed(2)} times as wide as its letters`;
  }

  // Boxes of letters are higher than rows, so only texts in the same line can overlap.
  function* overlaps() {
    const boxes = texts.map((text) => text.getBBox());
    for (const [first, a] of boxes.entries()) {
      for (const [second, b] of boxes.entries()) {
        const sameLine = Math.abs(a.y - b.y) < a.height / 2;
        const apart = a.x + a.width <= b.x + TOLERANCE || b.x + b.width <= a.x + TOLERANCE;
        if (first < second && sameLine && !apart) {
          yield `  ${quoted(texts[first])} and ${quoted(texts[second])} overlap`;
        }
      }
    }
  }

  const found = texts.flatMap((text) => [...problems(text)].map((problem) => `  ${quoted(text)} ${problem}`));
  const report = document.createElementNS(root.namespaceURI, "report");
  report.textContent = [`${texts.length} texts`, ...found, ...overlaps()].join("\n");
  root.replaceChildren(report);
}
