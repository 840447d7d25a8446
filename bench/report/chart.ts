import { formatFigure, median, ratioTo, type TrialResult } from "./results.js";

const WIDTH = 760;
const LABEL_WIDTH = 190;
const FIGURE_WIDTH = 170;
const BAR_HEIGHT = 16;
const ROW = 22;
const TITLE = 30;

const COLORS = {
  light: { text: "#1f2328", faint: "#59636e", own: "#0969da", other: "#afb8c1" },
  dark: { text: "#f0f6fc", faint: "#9198a1", own: "#4493f8", other: "#59636e" },
} as const;

export type Theme = keyof typeof COLORS;

/** An SVG with a block of bars for each trial. The longest bar of a block is that of its largest figure. */
export function chart(title: string, trials: readonly TrialResult[], theme: Theme): string {
  const color = COLORS[theme];
  const parts: string[] = [];
  let y = 4;
  for (const trial of trials) {
    const hint = trial.isMoreBetter ? "more is better" : "less is better";
    parts.push(text(0, y + 18, `${trial.title} (${trial.unit}, ${hint})`, `fill="${color.text}" font-weight="600"`));
    y += TITLE;
    const medians = Object.entries(trial.figures).map(([name, values]) => [name, median(values)] as const);
    const largest = Math.max(...medians.map(([, value]) => value));
    for (const [index, [name, value]] of medians.entries()) {
      const length = largest === 0 ? 0 : (value / largest) * (WIDTH - LABEL_WIDTH - FIGURE_WIDTH);
      const ratio = ratioTo(trial, name);
      const figure = formatFigure(value) + (ratio === undefined ? "" : ` (${formatFigure(ratio)}×)`);
      const middle = y + BAR_HEIGHT - 4;
      parts.push(
        text(LABEL_WIDTH - 8, middle, name, `fill="${color.faint}" text-anchor="end"`),
        `<rect x="${LABEL_WIDTH}" y="${y}" width="${Math.max(1, length).toFixed(1)}" height="${BAR_HEIGHT}" rx="2" fill="${index === 0 ? color.own : color.other}"/>`,
        text(LABEL_WIDTH + Math.max(1, length) + 8, middle, figure, `fill="${color.text}"`),
      );
      y += ROW;
    }
    y += 8;
  }
  const font = 'font-family="-apple-system,\'Segoe UI\',Helvetica,Arial,sans-serif" font-size="12"';
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}" ${font}>\n<title>${title}</title>\n${parts.join("\n")}\n</svg>\n`;
}

function text(x: number, y: number, content: string, attributes: string): string {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return `<text x="${x.toFixed(1)}" y="${y}" ${attributes}>${escaped}</text>`;
}
