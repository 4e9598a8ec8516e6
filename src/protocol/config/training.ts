/** How networks are trained: fine-tuning after compression, and baselines from scratch. */
import * as z from 'zod';
import { positive, share, wholeAtLeast } from './fields';
import { ARCHITECTURE_NAMES } from './names';

/** Of SGD, in both. */
const steps = {
  schedule: z.enum(['cosine', 'exponential', 'constant']).default('cosine').describe('How the learning rate falls.'),
  decay: positive.max(1).default(0.99).describe('Factor on the learning rate after each epoch, for the exponential schedule.'),
  warmUpEpochs: z.number().min(0).default(0).describe('Epochs over which the learning rate rises from 0.'),
  batch: wholeAtLeast(1).default(128).describe('Images of one step.'),
  momentum: share.lt(1).default(0.9).describe('Momentum of the steps.'),
  weightDecay: z.number().min(0).default(5e-4).describe('Weight decay (L2).'),
};
const labelSmoothing = share.lt(1).default(0).describe('Share of each label spread over all classes.');

export const recoverySchema = z
  .strictObject({
    epochs: wholeAtLeast(0).default(1).describe('Epochs of fine-tuning after the search; 0 for none.'),
    learningRate: positive.default(0.01).describe('Learning rate at the start.'),
    ...steps,
    optimizer: z
      .enum(['sgd', 'muon'])
      .default('sgd')
      .describe(
        "How weights are moved. 'sgd': along the gradient, with momentum; 'muon': kernels of convolutions in all directions alike, meant to get further in few epochs, and all else as by 'sgd'.",
      ),
    relativeStep: positive
      .max(1)
      .default(0.01)
      .describe("Share of its norm that a kernel moves in one step at the start, for 'muon'; it falls as the learning rate does."),
    distillation: z
      .strictObject({
        weight: share.default(0.5).describe("Share of the loss that follows the original model's outputs; 0 for none."),
        temperature: positive.default(3).describe('Temperature of the soft targets.'),
        hints: z
          .number()
          .min(0)
          .default(100)
          .describe("Weight of the relative error of inner values whose width is untouched, against the original's; 0 for none."),
      })
      .prefault({})
      .describe('Knowledge distillation from the original model.'),
    averaging: share
      .default(0.25)
      .describe("Share of the steps, the last ones, whose weights are averaged for the result; 0 for the last step's weights."),
    labelSmoothing,
  })
  .describe('Fine-tuning of the compressed network.');

export const trainSchema = z
  .strictObject({
    architecture: z.enum(ARCHITECTURE_NAMES).default('lenet5').describe('Network to train.'),
    epochs: wholeAtLeast(1).default(5).describe('Epochs.'),
    learningRate: positive.default(0.05).describe('Learning rate at the start.'),
    ...steps,
    labelSmoothing,
  })
  .describe('A baseline network trained from scratch by `espalier train`, written to `model`.');
