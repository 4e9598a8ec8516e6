/** What may be done with layers, and how: overrides, pruning, quantisation. */
import * as z from 'zod';
import { bits, positive, share, wholeAtLeast } from './fields';
import { SELECTION_NAMES } from './names';

export const layerOverrideSchema = z
  .strictObject({
    skip: z.boolean().default(false).describe('Neither prune nor quantise what matches.'),
    minRatio: share.lt(1).optional().describe('Smallest share of channels to remove.'),
    maxRatio: share.lt(1).optional().describe('Largest share of channels to remove.'),
    ratio: share.lt(1).optional().describe('Share of channels to remove, fixed: the agent does not choose.'),
    minBits: bits.optional().describe('Fewest weight bits.'),
    maxBits: bits.optional().describe('Most weight bits.'),
    bits: z
      .union([bits, z.literal(16), z.literal(32)])
      .optional()
      .describe('Weight bits, fixed: 1 to 8, or 16 or 32 to keep float.'),
  })
  .superRefine((layer, context) => {
    const issue = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message });
    if (layer.minRatio !== undefined && layer.maxRatio !== undefined && layer.minRatio > layer.maxRatio)
      issue('minRatio', `minRatio ${layer.minRatio} is above maxRatio ${layer.maxRatio}`);
    if (layer.ratio !== undefined && (layer.minRatio !== undefined || layer.maxRatio !== undefined))
      issue('ratio', 'a fixed ratio leaves no room for minRatio and maxRatio; give one or the other');
    if (layer.minBits !== undefined && layer.maxBits !== undefined && layer.minBits > layer.maxBits)
      issue('minBits', `minBits ${layer.minBits} is above maxBits ${layer.maxBits}`);
    if (layer.bits !== undefined && (layer.minBits !== undefined || layer.maxBits !== undefined))
      issue('bits', 'fixed bits leave no room for minBits and maxBits; give one or the other');
    if (layer.skip && (layer.ratio !== undefined || layer.bits !== undefined)) issue('skip', 'a skipped layer takes no ratio and no bits');
  })
  .describe('What the agent may do with the layers or groups that match.');

export const pruningSchema = z
  .strictObject({
    selection: z
      .enum(SELECTION_NAMES)
      .default('backward-elimination')
      .describe(
        'How channels are chosen: LASSO (He 2017), backward elimination on the Gram matrix, the smallest L1 or L2 norm, the smallest batch-norm scale (Liu 2017), the filters nearest to the geometric median (FPGM, He 2019), or first-order Taylor importance (Molchanov 2017; needs labelled training samples).',
      ),
    reconstruct: z
      .boolean()
      .default(true)
      .describe("Fit the consumers' weights to the original's outputs by least squares after channels are removed."),
    refit: z
      .boolean()
      .default(true)
      .describe(
        'Rebuild the layers on the way as well, whose inputs carry the errors of others; off: only the layers that read pruned channels.',
      ),
    calibrationImages: wholeAtLeast(1).default(1000).describe('Images that reconstruction samples.'),
    positions: wholeAtLeast(1).default(10).describe('Places sampled in each image.'),
    final: z
      .strictObject({
        calibrationImages: wholeAtLeast(1)
          .default(8000)
          .describe('Images that the chosen policy is reconstructed on; fewer where they would take more than 512 MB.'),
        positions: wholeAtLeast(1).default(10).describe('Places sampled in each of them.'),
        finalists: wholeAtLeast(1)
          .default(4)
          .describe(
            'The best candidates that are built so, where one budget holds for all and the model tells classes apart; the one whose answers on these images diverge least from the original is taken. 1: the best by its score.',
          ),
        margin: share
          .default(0.01)
          .describe(
            'The network built so is taken unless its accuracy on the search samples is more than this below that of the one the search scored, which was picked for its score: part of its lead is luck.',
          ),
      })
      .prefault({})
      .describe('The policy that is chosen in the end is built once more with more samples than candidates are scored with.'),
    widthMultiple: z
      .union([z.literal('auto'), wholeAtLeast(1)])
      .default('auto')
      .describe(
        "Groups keep a multiple of this. 'auto': widths that suit the blocks of channels onnxruntime computes in; between plain convolutions 4, 8, 12, 16, 32, 48 and so on, elsewhere multiples of 8, and of groups of fewer than 16 channels any number.",
      ),
    residual: z
      .enum(['keep', 'prune'])
      .default('keep')
      .describe(
        "Channels that a residual stream carries from block to block: 'keep' leaves them whole, since every block reads them and little is gained; 'prune' lets the agent cut them too.",
      ),
    wide: z
      .enum(['auto', 'prune'])
      .default('auto')
      .describe(
        "Groups of more than three times as many channels as there are samples that layers are fitted to: 'auto' leaves them whole where the goal can be reached without them, since what is fitted there would hold for these samples only; 'prune' lets the agent cut them too.",
      ),
    reestimateBatchNorm: z
      .boolean()
      .default(true)
      .describe('Measure batch-norm statistics anew under the training augmentation; kept only where accuracy rises.'),
    variational: z
      .strictObject({
        enabled: z.boolean().default(false).describe('Mask single weights by information dropout (Achille, Soatto 2018).'),
        alphaMax: positive.max(1).default(0.7).describe('Largest noise α of a unit.'),
        beta: z.number().min(0).default(0.001).describe('Weight of the KL term in the loss.'),
        stochastic: z
          .boolean()
          .default(false)
          .describe('Draw masks with their probabilities instead of masking the lowest-scored weights.'),
        targetSparsity: share.lt(1).default(0.5).describe('Share of the remaining weights to mask.'),
        targetFlops: share
          .optional()
          .describe(
            "Most effective multiply-accumulates after masking, as a share of the original's; without it, only `targetSparsity` counts.",
          ),
        useDropProbability: z.boolean().default(true).describe('Weigh scores by (1 − p) of the noise; off, for the ablation.'),
        epochs: wholeAtLeast(1).default(2).describe('Epochs of fine-tuning with noise before the masks are chosen.'),
        retrainEpochs: wholeAtLeast(0).default(2).describe('Epochs of retraining with the masks held.'),
        rolloutSteps: wholeAtLeast(0)
          .default(0)
          .describe(
            'Where it is enabled and the method chooses widths, every complete candidate is masked as well before it is scored, after so many steps with noise, and is trained for as many with the masks held; 0: only the network that is chosen in the end is.',
          ),
      })
      .prefault({})
      .describe('Variational pruning of single weights. Masks make files smaller, not kernels faster.'),
  })
  .describe('How channels are chosen and removed.');

const boundsOf = (which: string) =>
  z
    .strictObject({
      minBits: bits.default(8).describe(`Fewest weight bits of the ${which} layer.`),
      maxBits: bits.default(8).describe(`Most weight bits of the ${which} layer.`),
    })
    .superRefine((value, context) => {
      if (value.minBits > value.maxBits)
        context.addIssue({ code: 'custom', path: ['minBits'], message: `minBits ${value.minBits} is above maxBits ${value.maxBits}` });
    })
    .prefault({})
    .describe(`Bit bounds of the ${which} layer, which is usually the most sensitive.`);

export const quantizationSchema = z
  .strictObject({
    minBits: bits.default(2).describe('Fewest weight bits the agent may choose.'),
    maxBits: bits.default(8).describe('Most weight bits the agent may choose.'),
    first: boundsOf('first'),
    last: boundsOf('last'),
    averageBits: positive
      .max(8)
      .default(4)
      .describe('Most weight bits on average over the layers the agent decides, where `goal.bytes` sets no limit.'),
    epochs: wholeAtLeast(0).default(1).describe('Epochs of straight-through fine-tuning at the chosen bits; 0 for none.'),
    learningRate: positive
      .default(0.0003)
      .describe('Learning rate at the start of straight-through fine-tuning; low, because batch normalisation is folded by then.'),
    steTuning: wholeAtLeast(0).default(0).describe('Straight-through fine-tuning steps after each rollout of the search.'),
    activations: z
      .enum(['auto', 'float', 'u8'])
      .default('auto')
      .describe(
        "Activations in the written file: 'u8' runs on integer kernels, 'float' only stores codes and runs as the float model does, 'auto' measures both here and keeps the faster.",
      ),
  })
  .superRefine((value, context) => {
    if (value.minBits > value.maxBits)
      context.addIssue({ code: 'custom', path: ['minBits'], message: `minBits ${value.minBits} is above maxBits ${value.maxBits}` });
  })
  .describe('Bit-widths the agent may choose, and how they are applied.');
