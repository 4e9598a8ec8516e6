import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findChannelGroups } from '../graph/channel-groups';
import { loadModel } from '../onnx/file';
import { Random } from '../random';
import { accuracyOf } from '../runtime/evaluate';
import { SequentialPruner } from './prune-sequence';

const folder = process.env.ESPALIER_DATA ?? '';
const path = join(folder, 'models', 'cifar10_resnet20.onnx');
const present = folder !== '' && existsSync(path);

/** Records of the CIFAR-10 binary format (one byte of label, 3,072 of pixels), normalised as the model was trained. */
function images(file: string, count: number) {
  const mean = [0.485, 0.456, 0.406];
  const std = [0.229, 0.224, 0.225];
  const bytes = new Uint8Array(count * 3073);
  const fd = openSync(join(folder, 'cifar-10-batches-bin', file), 'r');
  readSync(fd, bytes, 0, bytes.length, 0);
  closeSync(fd);
  const inputs = new Float32Array(count * 3072);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    labels[i] = bytes[i * 3073];
    for (let k = 0; k < 3072; k++) {
      const channel = k >> 10;
      inputs[i * 3072 + k] = (bytes[i * 3073 + 1 + k] / 255 - mean[channel]) / std[channel];
    }
  }
  return { inputs, labels, count, shape: [3, 32, 32] };
}

test.skipIf(!present)('ResNet-20 with half of each block’s inner channels keeps 78 % of 92 % on CIFAR-10, without training', async () => {
  const model = loadModel(path);
  const { groups } = findChannelGroups(model);
  const pruner = await SequentialPruner.create(model, groups, images('data_batch_1.bin', 500), new Random(7));
  const inner = groups.filter((g) => /\.conv1$/.test(g.id));
  expect(inner).toHaveLength(9);
  for (const g of inner) {
    const step = await pruner.prune(g.id, 0.5);
    expect(step.kept).toHaveLength(g.channels / 2);
    expect(step.rebuilt.at(-1)?.layer).toBe(g.id.replace('conv1', 'conv2'));
  }
  const pruned = await pruner.finished();
  await pruner.release();
  const held = images('test_batch.bin', 1000);
  expect(await accuracyOf(model, held, { threads: 1 })).toBeGreaterThan(0.9);
  expect(await accuracyOf(pruned, held, { threads: 1 })).toBeGreaterThanOrEqual(0.78);
});
