/** The names and functions of the reward language, with the sentences that completion and hover show. */

export interface RewardName {
  readonly name: string;
  readonly description: string;
  /** 'measure': taken of each candidate; 'original': the same of the model before compression; 'goal': from the config; 'run': the state of the search. */
  readonly kind: 'measure' | 'original' | 'goal' | 'run';
  readonly unit: string;
}

export interface RewardFunction {
  readonly name: string;
  readonly signature: string;
  readonly description: string;
  readonly minArguments: number;
  readonly maxArguments: number;
  readonly apply: (...values: number[]) => number;
}

interface Measure {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
}

const MEASURES: readonly Measure[] = [
  {
    name: 'accuracy',
    description: 'Accuracy on the search images, or agreement with the original model where there are no labels.',
    unit: '0 to 1',
  },
  { name: 'flops', description: 'Multiply-accumulates of the whole model for one input, as its dense kernels compute them.', unit: 'MACs' },
  { name: 'params', description: 'Parameters of the whole model, as its dense tensors hold them.', unit: 'count' },
  { name: 'bytes', description: 'Weights at their bit-widths plus scales, computed without writing the file.', unit: 'bytes' },
  {
    name: 'latency',
    description: 'Median time of one run at batch 1, measured on this machine. Using it makes every evaluation measure time.',
    unit: 'ms',
  },
  { name: 'sparsity', description: "Share of the original's weights that were removed or are zero.", unit: '0 to 1' },
  { name: 'channels', description: 'Channels (filters, units) that are left in the prunable groups.', unit: 'count' },
];

const RUN_NAMES: readonly RewardName[] = [
  { name: 'flopsHigh', description: 'Highest FLOPs observed so far in the run.', kind: 'run', unit: 'MACs' },
  { name: 'flopsLow', description: 'Lowest FLOPs observed so far in the run.', kind: 'run', unit: 'MACs' },
  { name: 'budget', description: 'The FLOPs that the goal allows (`goal.flops` in multiply-accumulates).', kind: 'goal', unit: 'MACs' },
  {
    name: 'lambda',
    description:
      'Price of exceeding the budget: `reward.lambda`, the same throughout. The method crl has a price of its own, which begins there.',
    kind: 'run',
    unit: 'reward',
  },
  { name: 'targetAccuracy', description: "Accuracy aimed at: `reward.targetAccuracy`, or the original's.", kind: 'goal', unit: '0 to 1' },
  { name: 'targetSparsity', description: 'Sparsity aimed at: `reward.targetSparsity`.', kind: 'goal', unit: '0 to 1' },
  { name: 'dropBound', description: 'Largest accuracy drop that is acceptable: `goal.maxAccuracyDrop`.', kind: 'goal', unit: '0 to 1' },
  { name: 'episode', description: 'Number of the episode, from 0.', kind: 'run', unit: 'count' },
  { name: 'layer', description: 'Index of the group or layer just decided within its episode, from 0.', kind: 'run', unit: 'count' },
];

/** Every name a formula may use besides the config's own constants. */
export const REWARD_NAMES: ReadonlyMap<string, RewardName> = new Map(
  [
    ...MEASURES.map((m): RewardName => ({ ...m, kind: 'measure' })),
    ...MEASURES.map(
      (m): RewardName => ({ name: `${m.name}0`, description: `Of the original model: ${m.description}`, kind: 'original', unit: m.unit }),
    ),
    ...RUN_NAMES,
  ].map((n) => [n.name, n]),
);

const FUNCTIONS: readonly RewardFunction[] = [
  {
    name: 'min',
    signature: 'min(a, b, …)',
    description: 'The smallest of its arguments.',
    minArguments: 1,
    maxArguments: Number.POSITIVE_INFINITY,
    apply: Math.min,
  },
  {
    name: 'max',
    signature: 'max(a, b, …)',
    description: 'The largest of its arguments.',
    minArguments: 1,
    maxArguments: Number.POSITIVE_INFINITY,
    apply: Math.max,
  },
  { name: 'abs', signature: 'abs(x)', description: 'x without its sign.', minArguments: 1, maxArguments: 1, apply: Math.abs },
  {
    name: 'log',
    signature: 'log(x)',
    description: 'Natural logarithm of x; x must be above 0.',
    minArguments: 1,
    maxArguments: 1,
    apply: Math.log,
  },
  { name: 'exp', signature: 'exp(x)', description: 'e to the power x.', minArguments: 1, maxArguments: 1, apply: Math.exp },
  {
    name: 'sqrt',
    signature: 'sqrt(x)',
    description: 'Square root of x; x must not be negative.',
    minArguments: 1,
    maxArguments: 1,
    apply: Math.sqrt,
  },
  {
    name: 'clamp',
    signature: 'clamp(x, low, high)',
    description: 'x, but at least low and at most high.',
    minArguments: 3,
    maxArguments: 3,
    apply: (x, low, high) => Math.min(Math.max(x, low), high),
  },
];

export const REWARD_FUNCTIONS: ReadonlyMap<string, RewardFunction> = new Map(FUNCTIONS.map((f) => [f.name, f]));

/** What a constant of the config may be called: letters, digits and underscores, and none of the language's own names. */
export function constantNameProblem(name: string): string | undefined {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    return `constant name '${name}' must be letters, digits and underscores, and not begin with a digit`;
  if (REWARD_NAMES.has(name)) return `constant '${name}' has the name of a measure; choose another name`;
  if (REWARD_FUNCTIONS.has(name)) return `constant '${name}' has the name of a function; choose another name`;
  return undefined;
}
