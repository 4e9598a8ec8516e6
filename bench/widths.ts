/**
 * What a cut saves in time, by width: ResNet-20 with the inner widths of one stage cut to every other number of channels (of wide stages every
 * fourth), the rest whole. All files of a stage are timed side by side; shares are of the whole network's time and MACs. It shows what steps
 * (`pruning.widthMultiple`) pay on this machine.
 */
import { join } from 'node:path';
import { findChannelGroups } from '../src/engine/graph/channel-groups';
import { countCosts } from '../src/engine/graph/costs';
import { forRuntimes } from '../src/engine/graph/passes/for-runtimes';
import { normalize } from '../src/engine/graph/passes/normalize';
import { loadModel, modelBytes } from '../src/engine/onnx/file';
import { removeChannels } from '../src/engine/pruning/remove-channels';
import { measureLatency } from '../src/engine/runtime/latency';
import { type BenchArguments, dataFolder, printRow } from './bench';

export async function run(args: BenchArguments): Promise<void> {
  const { model } = normalize(loadModel(join(dataFolder(args), 'models', 'cifar10_resnet20.onnx')));
  const { groups } = findChannelGroups(model);
  const whole = countCosts(model).macs;
  for (const stage of [1, 2, 3]) {
    const inner = groups.filter((g) => new RegExp(`^layer${stage}\\.\\d\\.conv1$`).test(g.id));
    const { channels } = inner[0];
    const step = channels >= 64 ? 4 : 2;
    const widths = Array.from({ length: channels / step - 1 }, (_, i) => step * (i + 1));
    const cut = widths.map((width) => {
      const gone = Array.from({ length: channels - width }, (_, i) => width + i);
      return removeChannels(model, new Map(inner.map((g) => [g.id, gone])), groups);
    });
    const files = [model, ...cut].map((m) => modelBytes(forRuntimes(m)));
    const single = await shares(files, 1);
    const many = await shares(files, 32);
    for (const [i, width] of widths.entries())
      printRow(args, { channels, width, flops: (100 * countCosts(cut[i]).macs) / whole, time1: single[i], time32: many[i] });
  }
}

/** Times of all files but the first, in per cent of the first one's. */
async function shares(files: readonly Uint8Array[], batch: number): Promise<number[]> {
  const [first, ...others] = (await measureLatency(files, [3, 32, 32], batch)).map((l) => l?.median ?? Number.NaN);
  return others.map((time) => (100 * time) / first);
}
