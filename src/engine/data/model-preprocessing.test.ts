import { expect, it } from 'vitest';
import { preprocessingText, readPreprocessing } from './model-preprocessing';

const imagenet = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

const rows: Array<[string, Record<string, string>, object | undefined]> = [
  ['nothing of the kind', { author: 'me', stride: '32' }, undefined],
  [
    'single keys, pixels from 0 to 1',
    { mean: '[0.485, 0.456, 0.406]', std: '0.229 0.224 0.225', imagesize: '(224, 224)' },
    { normalization: imagenet, size: [224, 224], keys: ['mean', 'std', 'imagesize'] },
  ],
  [
    'means of pixels from 0 to 255 are not scaled',
    { pixel_mean: '103.53,116.28,123.675', pixel_std: '1,1,1', 'channel-order': 'BGR' },
    {
      normalization: { scale: 1, mean: [103.53, 116.28, 123.675], std: [1, 1, 1] },
      order: 'bgr',
      keys: ['pixel_mean', 'pixel_std', 'channel-order'],
    },
  ],
  [
    "timm's pretrained_cfg: the crop share gives the size before the crop",
    {
      pretrained_cfg: JSON.stringify({
        input_size: [3, 224, 224],
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
        crop_pct: 0.875,
        interpolation: 'bicubic',
      }),
    },
    { normalization: imagenet, resize: 256, size: [224, 224], interpolation: 'bicubic', keys: ['pretrained_cfg'] },
  ],
  [
    "Hugging Face's preprocessor_config",
    {
      preprocessor_config: JSON.stringify({
        image_mean: [0.5, 0.5, 0.5],
        image_std: [0.5, 0.5, 0.5],
        rescale_factor: 0.00392156862745098,
        crop_size: { height: 224, width: 192 },
        resample: 3,
      }),
    },
    {
      normalization: { scale: 0.00392156862745098, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
      size: [224, 192],
      interpolation: 'bicubic',
      keys: ['preprocessor_config'],
    },
  ],
  [
    "ONNX's own keys for images",
    { 'Image.BitmapPixelFormat': 'Bgr8', 'Image.NominalPixelRange': 'Normalized_1_1' },
    {
      normalization: { scale: 1 / 255, mean: [0.5], std: [0.5] },
      order: 'bgr',
      keys: ['Image.NominalPixelRange', 'Image.BitmapPixelFormat'],
    },
  ],
  [
    'video range',
    { 'Image.NominalPixelRange': 'NominalRange_16_235' },
    { normalization: { scale: 219 / 255, mean: [-16], std: [1] }, keys: ['Image.NominalPixelRange'] },
  ],
  ["Ultralytics' imgsz", { imgsz: '[640, 480]', names: "{0: 'person'}" }, { size: [640, 480], keys: ['imgsz'] }],
  ['what cannot be a mean is no mean', { mean: 'the average', std: '0, 0, 0', size: '1.5' }, undefined],
  ['a broken object is nothing', { preprocessing: '{"mean": [0.5' }, undefined],
];

for (const [name, metadata, found] of rows) it(name, () => expect(readPreprocessing(new Map(Object.entries(metadata)))).toEqual(found));

it('in words', () => {
  const found = readPreprocessing(
    new Map(Object.entries({ mean: '0.485,0.456,0.406', std: '0.229,0.224,0.225', imgsz: '224', resize: '256' })),
  )!;
  expect(preprocessingText(found)).toBe(
    'shorter side to 256; crop 224×224; scale 0.003922, mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225 (from mean, std, imgsz, resize)',
  );
});
