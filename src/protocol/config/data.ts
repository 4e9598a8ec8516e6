/** What the model is tested and fine-tuned on. */
import * as z from 'zod';
import { path, positive, share, wholeAtLeast } from './fields';
import { DATA_NAMES, METRIC_NAMES } from './names';

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

export const split = z.strictObject({
  set: z.enum(['train', 'test']).describe('Which set the images come from.'),
  from: z.int().default(0).describe('First image, counted from 0; a negative number counts from the end.'),
  count: wholeAtLeast(1).optional().describe('How many images; without it, all to the end of the set.'),
});

export const splitsSchema = z
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
    jitter: positive
      .max(1)
      .optional()
      .describe(
        'Brightness, contrast and tint: standard deviation of a random gain of the image and offset of each channel, normalised; e.g. 0.15.',
      ),
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

const detectionSchema = z
  .strictObject({
    boxes: z.string().min(1).optional().describe("Output with the boxes, [batch, boxes, 4]; without it, the model's only such output."),
    scores: z
      .string()
      .min(1)
      .optional()
      .describe('Output with the scores of the classes, [batch, boxes, classes]; without it, the only one that fits the boxes.'),
    form: z
      .enum(['corners', 'center'])
      .default('corners')
      .describe("What the four numbers of a box are: two opposite 'corners', or its 'center' and then its size."),
    score: z.number().default(0.5).describe('Least score of a detection, in the units of the output.'),
    iou: share.default(0.5).describe('Least overlap (intersection over union) of boxes that are taken for the same.'),
    background: wholeAtLeast(0).optional().describe('Number of the class that stands for nothing, where there is one.'),
  })
  .describe(
    "How a detector's outputs are read, where `metric` is 'detections': the share of detections that it and the original have in common.",
  );

export const dataSchema = z
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
        "How answers are scored, from 0 to 1: 'top-1' for one class a sample; 'f1', 'map' and 'exact-match' for several; 'mse' and 'mae' for values, as 1 − error / spread; 'detections' for boxes with scores, against the original model's. Without it, what suits the labels.",
      ),
    detection: detectionSchema.optional(),
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
