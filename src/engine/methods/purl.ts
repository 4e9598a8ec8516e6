/** PuRL: a double DQN picks each layer's threshold; weights below it go, and every step is trained a little, scored and paid. */
import { DQN_DEFAULTS, DqnAgent } from '../agents/dqn';
import { UserError } from '../errors';
import { sparsityBelow } from '../pruning/weight-masks';
import type { Method } from './method';
import { type MethodOptions, ownOptions } from './options';

/** The paper's thresholds: α from 0 to 2.2 standard deviations of the layer's weights in steps of 0.1. */
const THRESHOLDS = { largestThreshold: 2.2, thresholdStep: 0.1 };

/** Ours: the paper says a short training after each step, not how long. */
const TUNING = { tuneSteps: 4, tuneBatch: 64, tuneBatches: 64, tuneRate: 0.01 };

/** Share of the planned episodes over which ε falls. */
const EXPLORATION_SHARE = 0.6;

/**
 * Ours: one threshold for all layers is scored first, and half of the episodes change some four actions of the best policy so far. In a few
 * dozen episodes of ResNet-20 ε-greedy exploration found nothing as good as that one threshold.
 */
const AROUND_BEST = 0.5;
const CHANGED = 4;

const { initialPolicies: _, ...NUMBERS } = DQN_DEFAULTS;
const LEARNING = { ...NUMBERS, aroundBest: AROUND_BEST };

function thresholds(options: MethodOptions): number[] {
  const { largestThreshold, thresholdStep } = ownOptions(options, THRESHOLDS);
  if (!(thresholdStep > 0 && largestThreshold >= thresholdStep))
    throw new UserError(
      `method.options: thresholds in steps of ${thresholdStep} up to ${largestThreshold} are none`,
      `The paper has "thresholdStep": ${THRESHOLDS.thresholdStep}, "largestThreshold": ${THRESHOLDS.largestThreshold}.`,
    );
  // Counted in whole steps, so that 0.3 is 0.3 and not 0.30000000000000004.
  const count = Math.floor(largestThreshold / thresholdStep + 1e-9);
  return Array.from({ length: count + 1 }, (_, i) => Number((i * thresholdStep).toPrecision(12)));
}

export const purl: Method = {
  name: 'purl',
  title: 'PuRL',
  description: 'A double DQN picks each layer’s threshold in standard deviations; smaller weights are masked, and every step is rewarded.',
  source: 'Gupta et al. 2020, Learning to Prune Deep Neural Networks via Reinforcement Learning',
  credit: 'step',
  startsFromUniform: true,
  space: 'weights',
  bitsBy: 'uniform',
  settings: () => ({ reward: 'purl' }),
  levels:
    ({ method }) =>
    (weights) =>
      thresholds(method.options).map((alpha) => ({ action: alpha, sparsity: sparsityBelow(weights, alpha) })),
  tuning: ({ method }) => {
    const { tuneSteps, tuneBatch, tuneBatches, tuneRate } = ownOptions(method.options, TUNING);
    return { steps: tuneSteps, batch: tuneBatch, batches: tuneBatches, learningRate: tuneRate };
  },
  options: Object.keys({ ...THRESHOLDS, ...TUNING, ...LEARNING }),
  createAgent: ({ observationSize, steps, random, options, episodes, initialPolicies }) =>
    new DqnAgent(observationSize, thresholds(options), steps, random, {
      ...ownOptions(options, {
        ...LEARNING,
        explorationEpisodes: Math.max(1, Math.round(EXPLORATION_SHARE * episodes)),
        changedShare: Math.min(1, CHANGED / steps),
      }),
      initialPolicies,
    }),
};
