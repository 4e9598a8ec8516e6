/**
 * How many weights each layer keeps under a budget for the whole network. Scores of different layers are not comparable, so they are
 * ranked by layer-adaptive magnitude (LAMP, Lee et al. 2021): s_i² over the sum of s_j² of the weights of the layer that score no
 * lower. A price on the multiply-accumulates of a weight shifts the cut from linear layers to convolutions until both budgets hold.
 */

export interface AllocationLayer {
  /** Element scores ≥ 0; a weight that is pruned already has 0. */
  readonly scores: Float32Array;
  /** Multiply-accumulates that one weight of the layer takes part in for one sample: its number of output positions. */
  readonly macsPerWeight: number;
}

export interface AllocationBudget {
  /** Weights that may stay, over all layers. */
  readonly weights: number;
  /** Multiply-accumulates of the weights that stay; absent: no limit. */
  readonly macs?: number;
}

/** s_i² / Σ_{j: s_j ≥ s_i} s_j²: 1 for the layer's best weight, falling towards 0. */
export function lampScores(scores: Float32Array): Float64Array {
  const order = Uint32Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a] || a - b);
  const out = new Float64Array(scores.length);
  let sum = 0;
  for (const i of order) {
    const square = scores[i] * scores[i];
    sum += square;
    out[i] = sum > 0 ? square / sum : 0;
  }
  return out;
}

/**
 * Masks (1 stays, 0 goes), one a layer, with at least one weight in each.
 * @returns the masks with the highest LAMP scores per price that keep both budgets
 */
export function allocateElements(layers: readonly AllocationLayer[], budget: AllocationBudget): Float32Array[] {
  const ranked = layers.map((l) => lampScores(l.scores));
  const mean = layers.reduce((a, l) => a + l.macsPerWeight * l.scores.length, 0) / layers.reduce((a, l) => a + l.scores.length, 0);
  const at = (price: number): Float32Array[] => cut(layers, ranked, budget.weights, (l) => 1 + (price * l.macsPerWeight) / mean);
  const macsOf = (masks: readonly Float32Array[]): number =>
    masks.reduce((a, m, k) => a + m.reduce((s, v) => s + v, 0) * layers[k].macsPerWeight, 0);
  let masks = at(0);
  if (budget.macs === undefined || macsOf(masks) <= budget.macs) return masks;
  // The price is found by doubling, then halving the interval.
  let low = 0;
  let high = 1;
  while (macsOf(at(high)) > budget.macs && high < 1e6) high *= 2;
  for (let i = 0; i < 30; i++) {
    const middle = (low + high) / 2;
    if (macsOf(at(middle)) > budget.macs) low = middle;
    else high = middle;
  }
  masks = at(high);
  if (macsOf(masks) <= budget.macs) return masks;
  // Beyond any price: fewer weights.
  for (let weights = budget.weights; weights > layers.length; weights = Math.floor(weights * 0.95)) {
    masks = cut(layers, ranked, weights, (l) => 1 + (high * l.macsPerWeight) / mean);
    if (macsOf(masks) <= budget.macs) break;
  }
  return masks;
}

function cut(
  layers: readonly AllocationLayer[],
  ranked: readonly Float64Array[],
  keep: number,
  price: (l: AllocationLayer) => number,
): Float32Array[] {
  const all: Array<{ layer: number; index: number; value: number }> = [];
  ranked.forEach((scores, layer) => {
    const divisor = price(layers[layer]);
    scores.forEach((s, index) => {
      if (s > 0) all.push({ layer, index, value: s / divisor });
    });
  });
  all.sort((a, b) => b.value - a.value || a.layer - b.layer || a.index - b.index);
  const masks = layers.map((l) => new Float32Array(l.scores.length));
  // The best weight of each layer stays whatever its price: a layer without one would cut the network in two.
  ranked.forEach((scores, layer) => {
    let best = 0;
    scores.forEach((s, i) => {
      if (s > scores[best]) best = i;
    });
    masks[layer][best] = 1;
  });
  let left = keep - layers.length;
  for (const { layer, index } of all) {
    if (left <= 0) break;
    if (masks[layer][index] === 1) continue;
    masks[layer][index] = 1;
    left--;
  }
  return masks;
}
