/**
 * Smooth random displacement fields, for elastic distortion (Simard, Steinkraus, Platt 2003, "Best practices for convolutional
 * neural networks applied to visual document analysis", section 2).
 *
 * Simard draws white noise in [−alpha, alpha] for each pixel and smooths it with a Gaussian of standard deviation sigma. We draw the same
 * kind of field where it is cheap: random coefficients on a coarse grid of cubic B-splines. A cubic B-spline over knots h apart is bell-shaped with standard
 * deviation h/√3, so h = √3·sigma, and the coefficients are scaled to the size Simard's field has: alpha / (√3 · 2√π · sigma) pixels root mean
 * square (1.4 pixels for alpha 34, sigma 4). For 28×28 and sigma 4 that is a tenth of the convolution's operations.
 * Only + − × ÷ √ are used, which IEEE 754 fixes to the last bit: the same draws give the same field on every machine.
 */

import type { Random } from '../random';

/** Mean over t of the sum of squared cubic B-spline weights, ∫ B₃² = 151/315: how much the spline shrinks a coefficient's variance, each axis. */
const VARIANCE_KEPT = 151 / 315;
const TWO_SQRT_PI = 3.5449077018110318;
const TWO_TO_MINUS_32 = 1 / 4294967296;

/** The four cubic B-spline weights at fraction t ∈ [0, 1) of a cell, written to out[at … at+3]; they sum to 1. */
function splineWeights(t: number, out: Float64Array, at: number): void {
  const s = 1 - t;
  const t2 = t * t;
  const t3 = t2 * t;
  out[at] = (s * s * s) / 6;
  out[at + 1] = (3 * t3 - 6 * t2 + 4) / 6;
  out[at + 2] = (-3 * t3 + 3 * t2 + 3 * t + 1) / 6;
  out[at + 3] = t3 / 6;
}

/** A scalar field over [0, width−1] × [0, height−1] in pixels. `draw` makes a new one; `fill` and `at` read it. */
export class SmoothField {
  private readonly spacing: number;
  private readonly columns: number;
  private readonly lines: number;
  private readonly coefficients: Float64Array;
  private readonly expanded: Float64Array;
  private readonly columnWeights: Float64Array;
  private readonly columnCells: Int32Array;
  private readonly lineWeights: Float64Array;
  private readonly lineCells: Int32Array;
  private readonly weights = new Float64Array(8);

  constructor(
    private readonly width: number,
    private readonly height: number,
    private readonly sigma: number,
  ) {
    this.spacing = sigma * Math.sqrt(3);
    this.columns = Math.floor((width - 1) / this.spacing) + 4;
    this.lines = Math.floor((height - 1) / this.spacing) + 4;
    this.coefficients = new Float64Array(this.columns * this.lines);
    this.expanded = new Float64Array(width * this.lines);
    [this.columnCells, this.columnWeights] = this.axis(width);
    [this.lineCells, this.lineWeights] = this.axis(height);
  }

  private axis(length: number): [Int32Array, Float64Array] {
    const cells = new Int32Array(length);
    const weights = new Float64Array(4 * length);
    for (let i = 0; i < length; i++) {
      const u = i / this.spacing;
      cells[i] = Math.floor(u);
      splineWeights(u - cells[i], weights, 4 * i);
    }
    return [cells, weights];
  }

  /** New coefficients; alpha in pixels, as Simard counts it (before smoothing). */
  draw(random: Random, alpha: number): void {
    const reach = alpha / (TWO_SQRT_PI * this.sigma * VARIANCE_KEPT);
    const c = this.coefficients;
    for (let i = 0; i < c.length; i++) c[i] = (2 * random.bits() * TWO_TO_MINUS_32 - 1) * reach;
  }

  /** The field at every pixel, row by row, into out (width × height). */
  fill(out: Float32Array): void {
    const { width, height, columns, lines, coefficients: c, expanded, columnWeights: cw, columnCells, lineWeights: lw, lineCells } = this;
    for (let j = 0; j < lines; j++) {
      for (let x = 0; x < width; x++) {
        const p = j * columns + columnCells[x];
        expanded[j * width + x] = c[p] * cw[4 * x] + c[p + 1] * cw[4 * x + 1] + c[p + 2] * cw[4 * x + 2] + c[p + 3] * cw[4 * x + 3];
      }
    }
    for (let y = 0; y < height; y++) {
      const [w0, w1, w2, w3] = [lw[4 * y], lw[4 * y + 1], lw[4 * y + 2], lw[4 * y + 3]];
      let p = lineCells[y] * width;
      for (let x = 0; x < width; x++, p++) {
        out[y * width + x] = expanded[p] * w0 + expanded[p + width] * w1 + expanded[p + 2 * width] * w2 + expanded[p + 3 * width] * w3;
      }
    }
  }

  /** The field at one point, in pixels; points outside read the nearest edge. */
  at(x: number, y: number): number {
    const u = Math.min(Math.max(x, 0), this.width - 1) / this.spacing;
    const v = Math.min(Math.max(y, 0), this.height - 1) / this.spacing;
    const [i, j] = [Math.floor(u), Math.floor(v)];
    const { weights: w, coefficients: c, columns } = this;
    splineWeights(u - i, w, 0);
    splineWeights(v - j, w, 4);
    let sum = 0;
    for (let b = 0; b < 4; b++) {
      const p = (j + b) * columns + i;
      sum += w[4 + b] * (c[p] * w[0] + c[p + 1] * w[1] + c[p + 2] * w[2] + c[p + 3] * w[3]);
    }
    return sum;
  }
}
