/** Who searches, for what, and how long: method, goal, reward, search, agent. */
import * as z from 'zod';
import { constantNameProblem } from '../reward/names';
import { duration, positive, share, wholeAtLeast } from './fields';
import { METHOD_NAMES } from './names';

const methodName = z.enum(METHOD_NAMES).describe('Which method searches. The baselines use the same budget, pruner and report.');

export const methodSchema = z
  .union([
    methodName,
    z.strictObject({
      name: methodName.default('two-stage-ppo').describe('Which method searches.'),
      options: z
        .record(z.string(), z.union([z.number(), z.boolean(), z.string()]))
        .default({})
        .describe('Options that only this method has, by name.'),
    }),
  ])
  .transform((value) => (typeof value === 'string' ? { name: value, options: {} } : value))
  .describe("The method: its name, or { name, options }. 'two-stage-ppo' unless said otherwise.");

const budget = (what: string, unit: string) =>
  positive.optional().describe(`Most ${what} allowed: up to 1, a share of the original's; above 1, ${unit}.`);

export const goalSchema = z
  .strictObject({
    params: budget('parameters', 'a number of parameters'),
    flops: budget('multiply-accumulates for one input', 'a number of multiply-accumulates'),
    bytes: budget('bytes of weights at their bit-widths', 'a number of bytes'),
    latency: positive.optional().describe('Most milliseconds for one run at batch 1, measured on this machine.'),
    maxAccuracyDrop: share.optional().describe('Largest loss of accuracy that is acceptable: 0.01 is one percentage point.'),
  })
  .describe('What the result must keep to. Every part is optional; with none, the reward alone decides.');

const rewardText = z.string().min(1).describe('A preset (synthetic, accuracy, amc-flops, amc-params, purl, n2n, rlp, crl) or a formula.');

const rewardFields = z.strictObject({
  prune: rewardText.default('synthetic').describe('Reward of the pruning stage: a preset or a formula.'),
  quantize: rewardText.default('accuracy').describe('Reward of the quantisation stage: a preset or a formula.'),
  constants: z
    .record(z.string(), z.number())
    .default({})
    .superRefine((constants, context) => {
      for (const name of Object.keys(constants)) {
        const message = constantNameProblem(name);
        if (message !== undefined) context.addIssue({ code: 'custom', path: [name], message });
      }
    })
    .describe('Numbers of your own that formulas may name.'),
  lambda: z
    .number()
    .min(0)
    .default(1)
    .describe('Price of exceeding the budget, as `lambda` in formulas; the method crl begins its own, which it adapts, with it.'),
  targetAccuracy: share.optional().describe("Accuracy aimed at, as `targetAccuracy` in formulas; without it, the original's."),
  targetSparsity: share.default(0.8).describe('Share of weights to be gone, as `targetSparsity` in formulas.'),
});

export const rewardSchema = z
  .union([rewardText, rewardFields])
  .transform((value) => (typeof value === 'string' ? rewardFields.parse({ prune: value, quantize: value }) : value))
  .describe('What the agent is paid: one preset or formula for both stages, or one for each.');

export const searchSchema = z
  .strictObject({
    episodes: wholeAtLeast(1).default(100).describe('Episodes of each stage; one episode decides every layer once.'),
    actors: wholeAtLeast(1).max(64).default(2).describe('Parallel actors. The result depends on their number, not on their timing.'),
    timeLimit: duration.optional().describe("Longest time of the whole run: seconds, or a text such as '10m'. The best so far is kept."),
    scorings: wholeAtLeast(1)
      .optional()
      .describe(
        'Most candidate scorings of a stage, partial policies included. What was scored before is not scored again, and counts once.',
      ),
    images: wholeAtLeast(1).optional().describe('How many of the search images score a candidate; without it, all.'),
  })
  .describe('How long and how widely to search.');

export const agentSchema = z
  .strictObject({
    gamma: share.default(0.99).describe('Discount γ of later rewards.'),
    actorLearningRate: positive.default(1e-4).describe("Learning rate of the actor's network (Adam)."),
    criticLearningRate: positive.default(1e-3).describe("Learning rate of the critic's network (Adam)."),
    hidden: wholeAtLeast(1).default(64).describe('Units of the one hidden layer of actor and critic.'),
    noise: z
      .strictObject({
        start: positive.default(0.5).describe('Standard deviation σ at the start, as a share of the action range.'),
        decay: positive.max(1).default(0.95).describe('Factor on σ after each episode.'),
        floor: positive.default(0.01).describe('Least σ; it keeps probability ratios finite.'),
      })
      .prefault({})
      .describe('Exploration noise of the actions.'),
    minibatch: wholeAtLeast(1).default(64).describe('Transitions of one update.'),
    replayCapacity: wholeAtLeast(1)
      .default(2000)
      .describe("Transitions kept for the critic; the actor's loss uses only the current and the previous policy's."),
    learningStarts: wholeAtLeast(1).default(64).describe('Transitions before the first update.'),
    clip: z.boolean().default(true).describe('The clipped objective min(ρ·Q, clip(ρ, 1 − c, 1 + c)·Q); off: ρ·Q.'),
    clipCoefficient: positive.lt(1).default(0.2).describe('Clip c of the probability ratio ρ.'),
    slowTargets: z.boolean().default(true).describe('Smoothed policy update: target networks follow slowly.'),
    tau: positive.max(1).default(0.005).describe('Step τ of the slow target networks.'),
    targetNoise: z.boolean().default(true).describe('Target policy regularisation: clipped noise on the target action.'),
    targetNoiseSigma: z.number().min(0).default(0.2).describe('Noise σ̃ of the target action, as a share of the range.'),
    targetNoiseClip: z.number().min(0).default(0.5).describe('Clip c̃ of that noise, as a share of the range.'),
    perStepUpdates: z.boolean().default(true).describe('One minibatch at every time step; off: as many at the end of the episode.'),
    updatesPerStep: wholeAtLeast(1).default(1).describe('Minibatches at each time step.'),
    normalizeQ: z
      .boolean()
      .default(true)
      .describe('Centre and scale Q over the minibatch before it weighs the actor; off: the plain form.'),
  })
  .describe('Settings of the compute-constrained PPO agent.');
