/**
 * `npm run bench -- sensitivity --data DIR [--multiple 1]`: seconds of a full scan (every group × ratios 0.1–0.9, 1,000 held-out images) of ResNet-20
 * and ResNet-56. Each ratio counts as it is (multiple 1), so that there are as many different points as ratios.
 */
import { join } from 'node:path';
import { prepare } from '../src/engine/search/prepare';
import { scanSensitivity } from '../src/engine/search/sensitivity';
import { configSchema } from '../src/protocol/config';
import { type BenchArguments, dataFolder, note, printRow } from './bench';

export async function run(args: BenchArguments): Promise<void> {
  const folder = dataFolder(args);
  const widthMultiple = Number(args.options['multiple'] ?? 1);
  for (const net of (args.options['nets'] ?? 'resnet20,resnet56').split(',')) {
    const config = configSchema.parse({ model: join(folder, 'models', `cifar10_${net}.onnx`), data: { name: 'cifar10' } });
    const prepared = await prepare(config, { folder: process.cwd(), dataFolder: folder });
    const cpu = process.cpuUsage();
    const scan = await scanSensitivity(prepared, config, {
      layers: [],
      widthMultiple,
      threadFile: join(__dirname, 'sensitivity-thread.js'),
      onProgress: (s) => note(`${net}: ${s.done} of ${s.total} points, ${s.seconds.toFixed(1)} s`),
    });
    const used = process.cpuUsage(cpu);
    printRow(args, {
      net,
      groups: scan.groups.length,
      points: scan.done,
      images: scan.images,
      baseline: scan.baseline,
      seconds: scan.seconds,
      cpuSeconds: (used.user + used.system) / 1e6,
    });
  }
}
