/**
 * The embedded data set: handwritten-looking digits drawn by our own code from a seed, 28×28 grey bytes, white on black like MNIST.
 *
 * Each image takes a way of writing its digit (`digit-glyphs.ts`), moves its points a little, bends the plane elastically (Simard 2003), applies
 * a random affine map (rotation, scale, stretch, shear, shift), and draws the strokes with a random width, anti-aliased, then adds noise.
 * The strokes are bent before they are drawn, so distortion never blurs an image.
 *
 * Same seed → same bytes, on every machine: only + − × ÷ √ on float64 are used, which IEEE 754 fixes to the last bit (no sin, cos, exp or log).
 * Images are drawn one after the other from one stream: the first n of a larger set are the set of n.
 */

import { Random } from '../random';
import type { Dataset } from './dataset';
import { glyphs, type Stroke } from './digit-glyphs';
import { SmoothField } from './displacement';

const SIZE = 28;
/** Pixels from the centre to the top of an undistorted digit: MNIST's digits are 20 pixels high. */
const HALF_HEIGHT = 9.2;
/** Straight pieces that a curve's span between two points is drawn with. */
const PIECES = 6;

export interface GeneratedDigitsOptions {
  /** How many images; labels are drawn uniformly. */
  readonly count: number;
  readonly seed: number;
}

/** A polyline in pixels: x and y alternate. */
type Polyline = number[];

/** Catmull-Rom through the points, with the first and last repeated (or wrapped round for a loop). */
function trace(kind: Stroke['kind'], points: readonly (readonly number[])[]): Polyline {
  const out: Polyline = [];
  const n = points.length;
  const spans = kind === 'loop' ? n : n - 1;
  const point = (i: number) => (kind === 'loop' ? points[(i + n) % n] : points[Math.min(Math.max(i, 0), n - 1)]);
  for (let i = 0; i < spans; i++) {
    const [p0, p1, p2, p3] = [point(i - 1), point(i), point(i + 1), point(i + 2)];
    for (let k = i === 0 ? 0 : 1; k <= PIECES; k++) {
      const t = k / PIECES;
      for (let axis = 0; axis < 2; axis++) {
        const [a, b, c, d] = [p0[axis], p1[axis], p2[axis], p3[axis]];
        const smooth = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t * t * t);
        // A straight stroke is subdivided too, so that elastic distortion bends it.
        out.push(kind === 'line' ? b + (c - b) * t : smooth);
      }
    }
  }
  return out;
}

/** Raises `image` to the pen's coverage along one straight piece: full within half the width, falling to 0 over one pixel. */
function drawPiece(image: Float64Array, x0: number, y0: number, x1: number, y1: number, halfWidth: number): void {
  const reach = halfWidth + 0.5;
  const left = Math.max(0, Math.floor(Math.min(x0, x1) - reach));
  const right = Math.min(SIZE - 1, Math.ceil(Math.max(x0, x1) + reach));
  const top = Math.max(0, Math.floor(Math.min(y0, y1) - reach));
  const bottom = Math.min(SIZE - 1, Math.ceil(Math.max(y0, y1) + reach));
  const [dx, dy] = [x1 - x0, y1 - y0];
  const lengthSquared = dx * dx + dy * dy;
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      let t = lengthSquared > 0 ? ((x - x0) * dx + (y - y0) * dy) / lengthSquared : 0;
      t = Math.min(Math.max(t, 0), 1);
      const [ex, ey] = [x - x0 - t * dx, y - y0 - t * dy];
      const squared = ex * ex + ey * ey;
      if (squared >= reach * reach) continue;
      const coverage = Math.min(1, reach - Math.sqrt(squared));
      if (coverage > image[y * SIZE + x]) image[y * SIZE + x] = coverage;
    }
  }
}

class DigitPainter {
  private readonly image = new Float64Array(SIZE * SIZE);
  private readonly fieldX = new SmoothField(SIZE, SIZE, 4.5);
  private readonly fieldY = new SmoothField(SIZE, SIZE, 4.5);

  constructor(private readonly random: Random) {}

  /** A bell-shaped draw within (−reach, reach): the mean of three uniform draws. Unlike `normal` it needs no logarithm. */
  private bell(reach: number): number {
    const { random } = this;
    return ((2 * (random.uniform() + random.uniform() + random.uniform())) / 3 - 1) * reach;
  }

  /** Draws one image of the digit into out[at …]. */
  paint(digit: number, out: Uint8Array, at: number): void {
    const { random, image } = this;
    const glyph = glyphs[digit][random.below(glyphs[digit].length)];

    // Rotation by way of t = tan(angle / 2): cosine and sine are then rational. 0.2 is 23 degrees.
    const t = this.bell(0.2);
    const cosine = (1 - t * t) / (1 + t * t);
    const sine = (2 * t) / (1 + t * t);
    const shear = this.bell(0.4);
    const height = HALF_HEIGHT * random.between(0.8, 1.1);
    const width = HALF_HEIGHT * random.between(0.8, 1.2);
    const centreX = (SIZE - 1) / 2 + this.bell(2.5);
    const centreY = (SIZE - 1) / 2 + this.bell(2.5);
    const halfWidth = random.between(0.6, 1.6);
    this.fieldX.draw(random, 32);
    this.fieldY.draw(random, 32);

    image.fill(0);
    for (const { kind, points } of glyph) {
      const moved = points.map(([x, y]) => [x + this.bell(0.1), y + this.bell(0.1)]);
      const path = trace(kind, moved);
      for (let i = 0; i < path.length; i += 2) {
        const x = (path[i] - shear * path[i + 1]) * width;
        const y = path[i + 1] * height;
        const turnedX = centreX + cosine * x - sine * y;
        const turnedY = centreY + sine * x + cosine * y;
        path[i] = turnedX + this.fieldX.at(turnedX, turnedY);
        path[i + 1] = turnedY + this.fieldY.at(turnedX, turnedY);
      }
      for (let i = 2; i < path.length; i += 2) drawPiece(image, path[i - 2], path[i - 1], path[i], path[i + 1], halfWidth);
    }

    const ink = random.between(0.7, 1) * 255;
    // Noise up to ±noise grey levels; the state of the paper differs from image to image.
    const noise = random.between(0, 40);
    for (let i = 0; i < SIZE * SIZE; i++) {
      const value = image[i] * ink + (random.bits() / 4294967296 - 0.5) * 2 * noise;
      out[at + i] = value < 0 ? 0 : value > 255 ? 255 : Math.round(value);
    }
  }
}

/** `count` digits, shape [1, 28, 28], labels 0 to 9. */
export function generateDigits({ count, seed }: GeneratedDigitsOptions): Dataset {
  const random = new Random(seed);
  const painter = new DigitPainter(random);
  const inputs = new Uint8Array(count * SIZE * SIZE);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    labels[i] = random.below(10);
    painter.paint(labels[i], inputs, i * SIZE * SIZE);
  }
  return { name: 'generated digits', count, shape: [1, SIZE, SIZE], inputs, labels, classes: 10 };
}
