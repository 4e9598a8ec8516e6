/** The named rewards, each as the formula it is: a preset can be shown, copied and edited. */

export interface RewardPreset {
  readonly name: string;
  readonly formula: string;
  readonly description: string;
  /** Where it was published. */
  readonly source: string;
}

const PRESETS = [
  {
    name: 'synthetic',
    formula: 'accuracy + (flopsHigh > flopsLow ? 1 - (flops - flopsLow) / (flopsHigh - flopsLow) : 0)',
    description:
      'Accuracy plus how low the FLOPs are between the highest and lowest seen in the run. Needs no target; pays for every saving.',
    source: 'Two-stage PPO, R_synthetic',
  },
  {
    name: 'accuracy',
    formula: 'accuracy',
    description: 'Accuracy alone. For quantisation, and for pruning under a budget that bounds the actions.',
    source: 'Two-stage PPO, R_acc',
  },
  {
    name: 'amc-flops',
    formula: '-(1 - accuracy) * log(flops)',
    description: 'Error weighted by the logarithm of the FLOPs: prunes as far as accuracy holds, without a budget.',
    source: 'AMC (He et al. 2018), R_FLOPs',
  },
  {
    name: 'amc-params',
    formula: '-(1 - accuracy) * log(params)',
    description: 'Error weighted by the logarithm of the parameters: the same for size.',
    source: 'AMC (He et al. 2018), R_Param',
  },
  {
    name: 'purl',
    formula: '-5 * (max(1 - accuracy / targetAccuracy, 0) + max(1 - sparsity / targetSparsity, 0))',
    description: 'Zero once both the target accuracy and the target sparsity are met, negative by what is missing of each.',
    source: 'PuRL (Gupta et al. 2020)',
  },
  {
    name: 'n2n',
    formula: 'accuracy > 0 ? (1 - params / params0) * (2 - (1 - params / params0)) * accuracy / accuracy0 : -1',
    description:
      'C (2 − C) times the accuracy kept, with C the share of the parameters removed: rises ever more slowly with compression. −1 for a network that is right on nothing.',
    source: 'N2N (Ashok et al. 2017)',
  },
  {
    name: 'rlp',
    formula: '(1 - (accuracy0 - accuracy) / dropBound) * channels0 / channels',
    description: 'How far the accuracy drop stays below its bound, times how many times fewer channels there are.',
    source: 'RLP, R = φ·ψ (the sign of the drop as the text means it)',
  },
  {
    name: 'crl',
    formula: 'accuracy - lambda * (flops / budget - 1)',
    description:
      'Accuracy less a fixed price of exceeding the FLOPs budget. Needs `goal.flops`. The method crl, which adapts a price of its own, is not to have this one on top.',
    source: 'CRL (Malik et al. 2021), Lagrangian',
  },
] as const satisfies readonly RewardPreset[];

export type RewardPresetName = (typeof PRESETS)[number]['name'];

export const REWARD_PRESETS: ReadonlyMap<string, RewardPreset> = new Map(PRESETS.map((p) => [p.name, p]));

export const REWARD_PRESET_NAMES: readonly RewardPresetName[] = PRESETS.map((p) => p.name);
