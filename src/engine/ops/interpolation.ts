/** Which input positions each output position of a Resize takes along an axis, by the definitions of ONNX Resize 11 to 19. */
import { type AxisMap, axisMap } from './axis-maps';

export interface InterpolationOptions {
  /** nearest, linear or cubic. */
  readonly mode: string;
  readonly coordinates: string;
  readonly nearestMode: string;
  readonly cubicCoefficient: number;
  readonly excludeOutside: boolean;
}

/** The transformations of coordinates that need no region of interest. */
const COORDINATES: Readonly<Record<string, (x: number, input: number, output: number, scale: number) => number>> = {
  half_pixel: (x, _input, _output, scale) => (x + 0.5) / scale - 0.5,
  pytorch_half_pixel: (x, _input, output, scale) => (output > 1 ? (x + 0.5) / scale - 0.5 : 0),
  half_pixel_symmetric: (x, input, output, scale) => (input / 2) * (1 - output / (input * scale)) + (x + 0.5) / scale - 0.5,
  align_corners: (x, input, output) => (output === 1 ? 0 : (x * (input - 1)) / (output - 1)),
  asymmetric: (x, _input, _output, scale) => x / scale,
};

const NEAREST: Readonly<Record<string, (x: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/**
 * The map of one axis, or undefined where the options ask for what is not a fixed map (a region of interest).
 * @param scale output length by input length as the node has it; it may differ a little from the quotient of the lengths
 */
export function interpolationMap(input: number, output: number, scale: number, options: InterpolationOptions): AxisMap | undefined {
  const transform = Object.hasOwn(COORDINATES, options.coordinates) ? COORDINATES[options.coordinates] : undefined;
  if (!transform) return undefined;
  // onnxruntime computes positions in single precision, on which side of a half they fall included.
  const source = (row: number): number => Math.fround(transform(row, input, output, Math.fround(scale)));
  const inside = (position: number): number => Math.min(input - 1, Math.max(0, position));
  switch (options.mode) {
    case 'nearest': {
      const round = Object.hasOwn(NEAREST, options.nearestMode) ? NEAREST[options.nearestMode] : undefined;
      return round && axisMap(output, input, (row) => [[inside(round(source(row))), 1]]);
    }
    case 'linear':
      return axisMap(output, input, (row) => {
        const x = inside(source(row));
        const below = Math.floor(x);
        return [
          [below, 1 - (x - below)],
          [inside(below + 1), x - below],
        ];
      });
    case 'cubic':
      return axisMap(output, input, (row) => {
        const x = source(row);
        const below = Math.floor(x);
        const all = cubicWeights(x - below, options.cubicCoefficient).map((w, i): [number, number] => [below - 1 + i, w]);
        if (!options.excludeOutside) return all.map(([p, w]) => [inside(p), w]);
        const kept = all.filter(([p]) => p >= 0 && p < input);
        const total = kept.reduce((sum, [, w]) => sum + w, 0);
        return kept.map(([p, w]) => [p, w / total]);
      });
    default:
      return undefined;
  }
}

/** Keys 1981, "Cubic convolution interpolation", equation 3 with the coefficient a, for the four neighbours of a place s behind one. */
function cubicWeights(s: number, a: number): number[] {
  const near = (t: number): number => (a + 2) * t ** 3 - (a + 3) * t ** 2 + 1;
  const far = (t: number): number => a * t ** 3 - 5 * a * t ** 2 + 8 * a * t - 4 * a;
  return [far(1 + s), near(s), near(1 - s), far(2 - s)];
}
