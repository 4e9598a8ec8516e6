/**
 * The config file `*.espalier.json`: one schema for TypeScript types, run-time checks, defaults, and (through config-schema.ts) the JSON Schema
 * behind completion and hovers in the editor. Paths are relative to the config file. Shares and accuracies are numbers in [0, 1].
 */
import * as z from 'zod';
import { DURATION_PATTERN, secondsOf } from './duration';
import { constantNameProblem } from './reward/names';

const share = z.number().min(0).max(1);
const positive = z.number().positive();
const wholeAtLeast = (least: number) => z.int().min(least);
const path = z.string().min(1);

/** A length of time: seconds, or a text such as '10m' or '1h30m'. Read as seconds. */
const duration = z
  .union([positive, z.string().regex(DURATION_PATTERN, "must be seconds or a text such as '90s', '10m' or '1h30m'")])
  .transform((value) => (typeof value === 'number' ? value : secondsOf(value)!))
  .refine((seconds) => seconds > 0, 'must be longer than 0 seconds');

export const DATA_NAMES = ['digits', 'mnist', 'fashion-mnist', 'cifar10'] as const;
/** Methods that `method` may name. A new method is one name here and one file in engine/methods. */
export const METHOD_NAMES = [
  'two-stage-ppo',
  'episodic-ppo',
  'amc',
  'purl',
  'n2n',
  'rlp',
  'cacp',
  'crl',
  'lottery-mdp',
  'uniform',
  'random-ratios',
  'l1',
  'l2',
  'bn-scale',
  'fpgm',
  'taylor',
  'lottery-ticket',
  'deep-compression',
  'random-search',
  'evolutionary',
  'greedy',
] as const;
/** Ways to score answers that `data.metric` may name. */
export const METRIC_NAMES = ['top-1', 'exact-match', 'f1', 'map', 'mse', 'mae'] as const;
export const ARCHITECTURE_NAMES = ['lenet5', 'lenet-300-100', 'lstm-rows'] as const;
/** Ways to choose the channels that are removed. */
export const SELECTION_NAMES = ['lasso', 'backward-elimination', 'l1', 'l2', 'bn-scale', 'fpgm', 'taylor'] as const;

const labelledFile = z
  .union([
    path,
    z.strictObject({
      inputs: path.describe('File of inputs: idx images or npy, or a folder of images.'),
      labels: path
        .optional()
        .describe('File of labels: idx labels, npy of class numbers or values, or for images a CSV of files and classes.'),
    }),
  ])
  .describe(
    'An npz or CSV file with inputs and labels, a folder of images or of CIFAR-10 binary batches, or separate files for inputs and labels.',
  );

const split = z.strictObject({
  set: z.enum(['train', 'test']).describe('Which set the images come from.'),
  from: z.int().default(0).describe('First image, counted from 0; a negative number counts from the end.'),
  count: wholeAtLeast(1).optional().describe('How many images; without it, all to the end of the set.'),
});

const splitsSchema = z
  .strictObject({
    search: split.optional().describe('Held-out images that score candidates during the search.'),
    report: split.optional().describe('Images of the reported accuracy; the search never sees them.'),
    train: split.optional().describe('Images for fine-tuning.'),
    calibration: split.optional().describe('Images for reconstruction, batch-norm statistics and quantiser ranges.'),
  })
  .describe('Which images are used for what. Parts that are absent follow from the data set.');

const normalizationSchema = z
  .strictObject({
    scale: positive.default(1 / 255).describe('Factor on raw values before mean and std: 1/255 brings pixels to 0…1.'),
    mean: z
      .array(z.number())
      .min(1)
      .default([0])
      .describe('Mean of each channel, subtracted after scaling; one number serves all channels.'),
    std: z.array(positive).min(1).default([1]).describe('Standard deviation of each channel, divided by; one number serves all channels.'),
  })
  .describe('How raw values become model inputs: (raw · scale − mean) / std, per channel.');

const augmentationSchema = z
  .strictObject({
    shift: wholeAtLeast(1).optional().describe('Largest shift in pixels, in each direction.'),
    crop: wholeAtLeast(1).optional().describe('Pad by this many black pixels, then crop back to size at a random place.'),
    flip: z.boolean().optional().describe('Flip horizontally, with probability one half.'),
    rotate: positive.max(180).optional().describe('Largest rotation in degrees.'),
    scale: positive.max(0.9).optional().describe('Largest relative change of size, e.g. 0.1.'),
    shear: positive.max(1).optional().describe('Largest shear, as a tangent.'),
    elastic: z
      .strictObject({
        alpha: positive.describe('Strength of the displacement, in pixels.'),
        sigma: positive.describe('Smoothing of the displacement field, in pixels.'),
      })
      .optional()
      .describe('Elastic distortion (Simard 2003).'),
  })
  .describe('Random changes of training images. What is absent is off.');

const sides = z.union([wholeAtLeast(1), z.tuple([wholeAtLeast(1), wholeAtLeast(1)])]);

const imagesSchema = z
  .strictObject({
    resize: sides
      .optional()
      .describe(
        "Length of the shorter side before the crop, or [height, width]; without it, what the model's file states, or 8/7 of the crop.",
      ),
    crop: sides.optional().describe("Side of the centre crop, or [height, width]; without it, the model's input."),
    interpolation: z
      .enum(['bilinear', 'bicubic'])
      .optional()
      .describe('How images are resized, as Pillow does it; bilinear unless the model says otherwise.'),
    order: z.enum(['rgb', 'bgr']).optional().describe('Order of the colours; rgb unless the model says otherwise.'),
    limit: wholeAtLeast(1).optional().describe('Most images read, drawn evenly; without it, as many as take 1 GiB.'),
  })
  .describe('How images of a folder become inputs. Those that have the size of the crop are taken as they are.');

const column = z.union([z.string().min(1), z.int()]);

const csvSchema = z
  .strictObject({
    label: z
      .union([column, z.array(column).min(1)])
      .optional()
      .describe('Column of the label, by name or number (from 0; −1 is the last); several for multi-label and regression.'),
    ignore: z.array(column).optional().describe('Columns to leave out.'),
    header: z.boolean().optional().describe('Whether the first line names the columns; without it, found out.'),
    padding: wholeAtLeast(0).optional().describe('Token that fills short rows of token ids; 0 unless said otherwise.'),
    length: wholeAtLeast(1).optional().describe("Tokens of a row, where the model leaves it open; without it, the longest row's."),
  })
  .describe('How CSV and TSV files are read.');

const dataSchema = z
  .strictObject({
    name: z
      .enum(DATA_NAMES)
      .optional()
      .describe('A known data set: generated digits (needs no files; the default), MNIST, Fashion-MNIST or CIFAR-10.'),
    folder: path
      .optional()
      .describe("Folder with the named data set's files; without it, `--data` or the environment variable ESPALIER_DATA."),
    files: z
      .strictObject({
        train: labelledFile.optional().describe('Training set: npz, CSV, image folder, idx pair, npy pair, or a CIFAR-10 binary folder.'),
        test: labelledFile.optional().describe('Test set, in the same forms.'),
        inputs: path
          .optional()
          .describe(
            'Inputs without labels (npy, npz, CSV or a folder of images): candidates are scored by agreement with the original model.',
          ),
      })
      .optional()
      .describe('Your own files, instead of a named data set.'),
    images: imagesSchema.optional(),
    csv: csvSchema.optional(),
    metric: z
      .enum(METRIC_NAMES)
      .optional()
      .describe(
        "How answers are scored, from 0 to 1: 'top-1' for one class a sample; 'f1', 'map' and 'exact-match' for several; 'mse' and 'mae' for values, as 1 − error / spread. Without it, what suits the labels.",
      ),
    digits: z
      .strictObject({
        train: wholeAtLeast(100).default(12_000).describe('Generated training images.'),
        test: wholeAtLeast(100).default(3_000).describe('Generated test images.'),
      })
      .prefault({})
      .describe('How many digits are generated, where `name` is digits.'),
    normalization: normalizationSchema
      .optional()
      .describe("How raw values become model inputs; without it, the named data set's usual one."),
    augmentation: augmentationSchema.optional().describe('Random changes of training images; without it, none.'),
    splits: splitsSchema.prefault({}),
  })
  .superRefine((data, context) => {
    if (data.name !== undefined && data.files !== undefined)
      context.addIssue({ code: 'custom', path: ['files'], message: 'name a data set or give files, not both' });
    const files = data.files;
    if (files && files.train === undefined && files.test === undefined && files.inputs === undefined)
      context.addIssue({ code: 'custom', path: ['files'], message: 'give train, test or inputs' });
    if (data.folder !== undefined && data.name === undefined)
      context.addIssue({ code: 'custom', path: ['folder'], message: "a folder needs the data set's name beside it" });
    const normalization = data.normalization;
    if (
      normalization &&
      normalization.mean.length !== normalization.std.length &&
      normalization.mean.length > 1 &&
      normalization.std.length > 1
    )
      context.addIssue({
        code: 'custom',
        path: ['normalization', 'std'],
        message: `std has ${normalization.std.length} channels, but mean has ${normalization.mean.length}`,
      });
  })
  .describe('What the model is tested and fine-tuned on.');

const methodName = z.enum(METHOD_NAMES).describe('Which method searches. The baselines use the same budget, pruner and report.');

const methodSchema = z
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

const goalSchema = z
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
  lambda: z.number().min(0).default(1).describe('Price of exceeding the budget, as `lambda` in formulas; constrained methods adapt it.'),
  targetAccuracy: share.optional().describe("Accuracy aimed at, as `targetAccuracy` in formulas; without it, the original's."),
  targetSparsity: share.default(0.8).describe('Share of weights to be gone, as `targetSparsity` in formulas.'),
});

const rewardSchema = z
  .union([rewardText, rewardFields])
  .transform((value) => (typeof value === 'string' ? rewardFields.parse({ prune: value, quantize: value }) : value))
  .describe('What the agent is paid: one preset or formula for both stages, or one for each.');

const bits = z.int().min(1).max(8);

const layerOverrideSchema = z
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

const pruningSchema = z
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
    calibrationImages: wholeAtLeast(1).default(500).describe('Images that reconstruction samples.'),
    positions: wholeAtLeast(1).default(10).describe('Places sampled in each image.'),
    final: z
      .strictObject({
        calibrationImages: wholeAtLeast(1).default(2000).describe('Images that the chosen policy is reconstructed on.'),
        positions: wholeAtLeast(1).default(25).describe('Places sampled in each of them.'),
      })
      .prefault({})
      .describe('The policy that is chosen in the end is built once more with more samples than candidates are scored with.'),
    widthMultiple: z
      .union([z.literal('auto'), wholeAtLeast(1)])
      .default('auto')
      .describe("Widths are rounded to a multiple of this. 'auto': 8 where a group has 16 channels or more, which is what runs faster."),
    residual: z
      .enum(['keep', 'prune'])
      .default('keep')
      .describe(
        "Channels that a residual stream carries from block to block: 'keep' leaves them whole, since every block reads them and little is gained; 'prune' lets the agent cut them too.",
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

const quantizationSchema = z
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

const searchSchema = z
  .strictObject({
    episodes: wholeAtLeast(1).default(100).describe('Episodes of each stage; one episode decides every layer once.'),
    actors: wholeAtLeast(1).max(64).default(2).describe('Parallel actors. The result depends on their number, not on their timing.'),
    timeLimit: duration.optional().describe("Longest time of the whole run: seconds, or a text such as '10m'. The best so far is kept."),
    scorings: wholeAtLeast(1).optional().describe('Most candidate scorings of a stage, partial policies included.'),
    images: wholeAtLeast(1).optional().describe('How many of the search images score a candidate; without it, all.'),
  })
  .describe('How long and how widely to search.');

const agentSchema = z
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

const recoverySchema = z
  .strictObject({
    epochs: wholeAtLeast(0).default(1).describe('Epochs of fine-tuning after the search; 0 for none.'),
    learningRate: positive.default(0.01).describe('Learning rate at the start.'),
    schedule: z.enum(['cosine', 'exponential', 'constant']).default('cosine').describe('How the learning rate falls.'),
    decay: positive.max(1).default(0.99).describe('Factor on the learning rate after each epoch, for the exponential schedule.'),
    warmUpEpochs: z.number().min(0).default(0).describe('Epochs over which the learning rate rises from 0.'),
    batch: wholeAtLeast(1).default(128).describe('Images of one step.'),
    momentum: share.lt(1).default(0.9).describe('Momentum of SGD.'),
    weightDecay: z.number().min(0).default(5e-4).describe('Weight decay (L2).'),
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
    labelSmoothing: share.lt(1).default(0).describe('Share of each label spread over all classes.'),
  })
  .describe('Fine-tuning of the compressed network.');

const trainSchema = z
  .strictObject({
    architecture: z.enum(ARCHITECTURE_NAMES).default('lenet5').describe('Network to train.'),
    epochs: wholeAtLeast(1).default(5).describe('Epochs.'),
    learningRate: positive.default(0.05).describe('Learning rate at the start.'),
    schedule: z.enum(['cosine', 'exponential', 'constant']).default('cosine').describe('How the learning rate falls.'),
    decay: positive.max(1).default(0.99).describe('Factor on the learning rate after each epoch, for the exponential schedule.'),
    warmUpEpochs: z.number().min(0).default(0).describe('Epochs over which the learning rate rises from 0.'),
    batch: wholeAtLeast(1).default(128).describe('Images of one step.'),
    momentum: share.lt(1).default(0.9).describe('Momentum of SGD.'),
    weightDecay: z.number().min(0).default(5e-4).describe('Weight decay (L2).'),
    labelSmoothing: share.lt(1).default(0).describe('Share of each label spread over all classes.'),
  })
  .describe('A baseline network trained from scratch by `espalier train`, written to `model`.');

const definitionSchema = z
  .strictObject({
    file: path.describe('Source file that defines the model, relative to this file.'),
    name: z.string().min(1).describe('Class, function or variable that is the model.'),
    arguments: z
      .string()
      .default('')
      .describe("What the class or function is called with, written in the file's language: 'num_classes=10'."),
    inputShape: z.array(wholeAtLeast(1)).min(1).optional().describe('Shape of one input with its batch: [1, 3, 32, 32].'),
    weights: path.optional().describe('Trained weights to load before the export: a state dict, a checkpoint or Keras weights.'),
  })
  .describe('Source code that `model` is exported from by the editor, and how it is called.');

const outputSchema = z
  .strictObject({
    folder: path.default('.espalier/runs').describe('Folder that gets one folder for each run.'),
  })
  .describe('Where results go.');

/** A config file as written: everything but `model` may be absent. */
export const configSchema = z
  .strictObject({
    $schema: z.string().optional().describe('The JSON Schema of this file, for editors that do not know Espalier.'),
    model: path.describe('The model to compress, relative to this file. With `train`, also where the trained network is written.'),
    definition: definitionSchema.optional(),
    dequantize: z
      .boolean()
      .default(false)
      .describe('Turn a model that is quantised already back into floats first; without it, such a model is refused.'),
    data: dataSchema.prefault({}),
    method: methodSchema.prefault('two-stage-ppo'),
    stages: z
      .strictObject({
        prune: z.boolean().default(true).describe('Stage 1: remove channels.'),
        quantize: z.boolean().default(true).describe('Stage 2: choose bit-widths.'),
      })
      .prefault({})
      .describe('Which stages run.'),
    goal: goalSchema.prefault({}),
    reward: rewardSchema.prefault({}),
    layers: z
      .record(z.string().min(1), layerOverrideSchema)
      .default({})
      .describe("Overrides by layer or group name; '*' stands for any characters. Where several match, the later one wins field by field."),
    pruning: pruningSchema.prefault({}),
    quantization: quantizationSchema.prefault({}),
    search: searchSchema.prefault({}),
    agent: agentSchema.prefault({}),
    recovery: recoverySchema.prefault({}),
    train: trainSchema.optional(),
    output: outputSchema.prefault({}),
    seed: wholeAtLeast(0)
      .max(0xffff_ffff)
      .default(1)
      .describe('Seed of everything random: the same seed, backend and machine give the same result.'),
    threads: wholeAtLeast(1).max(256).optional().describe('Processor threads to use; without it, all.'),
  })
  .superRefine((config, context) => {
    if (!config.stages.prune && !config.stages.quantize)
      context.addIssue({ code: 'custom', path: ['stages'], message: 'both stages are off, so there is nothing to do' });
  })
  .describe('An Espalier compression config.');

/** A config with every default filled in. */
export type Config = z.output<typeof configSchema>;
/** A config as a file may have it. */
export type ConfigInput = z.input<typeof configSchema>;
export type LayerOverride = z.output<typeof layerOverrideSchema>;
export type SplitSettings = z.output<typeof split>;
export type SplitsSettings = z.output<typeof splitsSchema>;
export type DataSettings = Config['data'];
export type GoalSettings = Config['goal'];
export type PruningSettings = Config['pruning'];
export type QuantizationSettings = Config['quantization'];
export type SearchSettings = Config['search'];
export type AgentSettings = Config['agent'];
export type RecoverySettings = Config['recovery'];
export type TrainSettings = NonNullable<Config['train']>;
export type RewardSettings = Config['reward'];
export type DataName = (typeof DATA_NAMES)[number];
export type SelectionName = (typeof SELECTION_NAMES)[number];
export type MethodName = (typeof METHOD_NAMES)[number];

/** A budget of the goal as an absolute figure: up to 1 it is a share of the original's. */
export function absoluteBudget(budgetValue: number, original: number): number {
  return budgetValue <= 1 ? budgetValue * original : budgetValue;
}
