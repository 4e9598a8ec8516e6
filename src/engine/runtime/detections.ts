/**
 * What a detector finds, and how far two of them find the same: the boxes of an image whose score is high enough, the best of those that overlap (non-maximum
 * suppression), held against the other's by overlap and class.
 */

/** How outputs are read as detections. */
export interface DetectionRule {
  /** Output with the corners or the centre and size of each box: [count, boxes, 4]. */
  readonly boxes: string;
  /** Output with the scores of its classes: [count, boxes, classes]. */
  readonly scores: string;
  /** 'corners': two opposite corners; 'center': the centre, then width and height (in whatever order of axes: overlap is the same). */
  readonly form: 'corners' | 'center';
  /** Least score of a detection. */
  readonly score: number;
  /** Least overlap (intersection over union) of two boxes that are taken for the same. */
  readonly iou: number;
  /** Class that stands for nothing. */
  readonly background?: number;
}

interface Detection {
  /** Opposite corners, the smaller first: y, x, y, x or x, y, x, y. */
  readonly box: readonly [number, number, number, number];
  readonly label: number;
  readonly score: number;
}

/** More detections than these in one image are noise of a network that was cut too far; the best are kept. */
const MOST = 300;

/** Intersection over union, in [0, 1]; 0 where both are empty. */
export function overlapOf(a: Detection['box'], b: Detection['box']): number {
  const side = (i: number): number => Math.max(0, Math.min(a[i + 2], b[i + 2]) - Math.max(a[i], b[i]));
  const area = (box: Detection['box']): number => Math.max(0, box[2] - box[0]) * Math.max(0, box[3] - box[1]);
  const both = side(0) * side(1);
  const either = area(a) + area(b) - both;
  return either > 0 ? both / either : 0;
}

/**
 * The detections of one image, best first.
 * @param boxes boxes × 4 @param scores boxes × classes
 */
export function detectionsOf(boxes: ArrayLike<number>, scores: ArrayLike<number>, rule: DetectionRule): Detection[] {
  const count = boxes.length / 4;
  const classes = scores.length / count;
  const found: Detection[] = [];
  for (let i = 0; i < count; i++) {
    let label = -1;
    for (let c = 0; c < classes; c++)
      if (c !== rule.background && (label < 0 || scores[i * classes + c] > scores[i * classes + label])) label = c;
    const score = label < 0 ? Number.NaN : scores[i * classes + label];
    if (!(score >= rule.score)) continue;
    const [a, b, c, d] = [0, 1, 2, 3].map((k) => boxes[4 * i + k]);
    found.push({
      box:
        rule.form === 'center'
          ? [a - c / 2, b - d / 2, a + c / 2, b + d / 2]
          : [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)],
      label,
      score,
    });
  }
  // Equal scores stay in the order of the boxes.
  found.sort((a, b) => b.score - a.score);
  const kept: Detection[] = [];
  for (const d of found) {
    if (kept.length === MOST) break;
    if (!kept.some((k) => k.label === d.label && overlapOf(k.box, d.box) >= rule.iou)) kept.push(d);
  }
  return kept;
}

/** How many detections of one image are found by the other as well: each takes the one of its class that overlaps most, best first. */
export function matches(wanted: readonly Detection[], given: readonly Detection[], iou: number): number {
  const free = new Set(wanted);
  let found = 0;
  for (const { box, label } of given) {
    let best: Detection | undefined;
    let most = iou;
    for (const w of free) {
      const overlap = w.label === label ? overlapOf(w.box, box) : 0;
      if (overlap >= most && overlap > 0) [best, most] = [w, overlap];
    }
    if (!best) continue;
    free.delete(best);
    found++;
  }
  return found;
}

/** One image's values of both outputs. */
interface Outputs {
  readonly boxes: Float32Array;
  readonly scores: Float32Array;
}

/** F1 of all detections of all images, in [0, 1]: 2 · found by both / (found by one + found by the other); 1 where neither finds any. */
export function detectionAgreement(wanted: Outputs, given: Outputs, images: number, rule: DetectionRule): number {
  const rows = (values: Float32Array, i: number): Float32Array => {
    const width = values.length / images;
    return values.subarray(i * width, (i + 1) * width);
  };
  let [both, all] = [0, 0];
  for (let i = 0; i < images; i++) {
    const [truth, said] = [wanted, given].map((o) => detectionsOf(rows(o.boxes, i), rows(o.scores, i), rule));
    both += matches(truth, said, rule.iou);
    all += truth.length + said.length;
  }
  return all === 0 ? 1 : (2 * both) / all;
}
