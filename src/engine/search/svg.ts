/** What all our charts share: SVG text without styles, ids or links, on a white sheet of its own, so that the ink reads on dark pages too. */

export const INK = '#24292f';
export const PALE = '#d0d7de';
export const PAPER = '#ffffff';
/** For series, told apart by a shape or a dash as well. */
export const COLOURS = ['#0969da', '#bc4c00', '#1a7f37', '#8250df', '#cf222e', '#57606a', '#9a6700', '#0b7285'] as const;

export const colourOf = (index: number): string => COLOURS[index % COLOURS.length];

export const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** To a tenth of a pixel. */
export const tenth = (v: number): number => Math.round(10 * v) / 10;

/** From the smallest to the largest value with some room, so never empty; 0 to 1 where there is no value. */
export function paddedRange(values: readonly number[]): readonly [low: number, high: number] {
  if (values.length === 0) return [0, 1];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low) * 0.06 || Math.abs(high) * 0.05 || 0.05;
  return [low - room, high + room];
}

/** The whole image. @param title what it shows, for screen readers */
export const svg = (width: number, height: number, title: string, parts: readonly string[]): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="sans-serif" font-size="11" fill="${INK}">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="${PAPER}"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
