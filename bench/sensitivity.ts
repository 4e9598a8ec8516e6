/**
 * `npm run bench -- sensitivity --data DIR [--multiple 1] [--beside PYTHON]`: seconds of a full scan (every group × ratios 0.1–0.9, 1,000
 * held-out images) of ResNet-20 and ResNet-56. Each ratio counts as it is (multiple 1), so that there are as many different points as
 * ratios. With a Python that has torch and torch-pruning, the same scan's time there stands beside it (bench/python/sensitivity_torch.py).
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { UserError } from '../src/engine/errors';
import { prepare } from '../src/engine/search/prepare';
import { scanSensitivity } from '../src/engine/search/sensitivity';
import { configSchema } from '../src/protocol/config';
import { type BenchArguments, dataFolder, note, printRow } from './bench';

export async function run(args: BenchArguments): Promise<void> {
  const folder = dataFolder(args);
  const widthMultiple = Number(args.options['multiple'] ?? 1);
  const peer = args.options['beside'] === undefined ? new Map<string, number>() : torchSeconds(args.options['beside']);
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
    const torch = peer.get(net);
    printRow(args, {
      net,
      groups: scan.groups.length,
      points: scan.done,
      images: scan.images,
      baseline: scan.baseline,
      seconds: scan.seconds,
      cpuSeconds: (used.user + used.system) / 1e6,
      ...(torch !== undefined && { torchSeconds: torch, ratio: scan.seconds / torch }),
    });
  }
}

/** Seconds of the whole scan in PyTorch, by network. */
function torchSeconds(python: string): Map<string, number> {
  const script = join(__dirname, '..', 'bench', 'python', 'sensitivity_torch.py');
  const { status, stdout, stderr } = spawnSync(python, [script], { encoding: 'utf8' });
  if (status !== 0)
    throw new UserError(`${python} could not time the scan: ${stderr?.trim().split('\n').at(-1)}`, 'Install torch and torch-pruning.');
  const rows: Array<{ net: string; seconds: number }> = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  return new Map(rows.map((r) => [r.net, r.seconds]));
}
