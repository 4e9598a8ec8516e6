/** Lines between cards, from the bottom of one to the top of another. */
import type { Box } from './place';

/** Distance of a line that goes round cards from their sides, in pixels. */
const SIDE = 18;

/**
 * SVG path of an edge. A straight drop where nothing stands between; otherwise it goes round the cards between on the right.
 * @param between boxes that may stand in the way, in any order
 */
export function edgePath(from: Box, to: Box, between: Iterable<Box>): string {
  const [x1, y1] = [from.x + from.width / 2, from.y + from.height];
  const [x2, y2] = [to.x + to.width / 2, to.y];
  let side = Number.NEGATIVE_INFINITY;
  for (const box of between) {
    if (box === from || box === to || box.y + box.height <= y1 || box.y >= y2) continue;
    const at = x1 + ((x2 - x1) * (box.y + box.height / 2 - y1)) / Math.max(1, y2 - y1);
    if (at > box.x - 8 && at < box.x + box.width + 8) side = Math.max(side, box.x + box.width + SIDE);
  }
  if (side === Number.NEGATIVE_INFINITY) {
    const bend = Math.min(40, Math.max(8, Math.abs(y2 - y1) / 2));
    return `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`;
  }
  const turn = Math.min(46, (y2 - y1) / 2);
  return `M${x1} ${y1}C${x1} ${y1 + 16} ${side} ${y1 + 4} ${side} ${y1 + turn}V${y2 - turn}C${side} ${y2 - 4} ${x2} ${y2 - 16} ${x2} ${y2}`;
}
