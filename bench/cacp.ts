/**
 * CACP's promise: one search for 30, 50 and 70 % of ResNet-20's FLOPs instead of three AMC searches. Counted are the scorings until the best
 * complete candidate within each target is within half a point of the accuracy that AMC's search for that target ends with; for the three AMC
 * searches the scorings that they took to get there themselves, together. Accuracies are those of the search, on its own samples, before any training.
 *
 * `--scorings` (100) for each AMC search; CACP's search has `--shared` (as many as the three have, divided by 2.5). Cells that are done are
 * kept in `--out`. Options: `--images` (search samples; all 2,000), `--targets 0.3,0.5,0.7`.
 */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runCell, searchOf } from '../src/engine/compare/cell';
import { comparedWithSingle, scoringsUntil, type TargetCurves } from '../src/engine/compare/scorings-until';
import { spread } from '../src/engine/compare/summary';
import { readJournal } from '../src/engine/search/journal';
import { RunFolder } from '../src/engine/search/run-folder';
import { type Config, type ConfigInput, configSchema } from '../src/protocol/config';
import { type BenchArguments, dataFolder, IMAGENET, note, printRow, threadFiles } from './bench';

/** Half a percentage point. */
const MARGIN = 0.005;
/** How many times fewer scorings are expected. */
const EXPECTED = 2.5;

export async function run(args: BenchArguments): Promise<void> {
  const data = dataFolder(args);
  const { options } = args;
  const targets = (options['targets'] ?? '0.3,0.5,0.7').split(',').map(Number);
  const scorings = Number(options['scorings'] ?? 100);
  const shared = Number(options['shared'] ?? Math.floor((targets.length * scorings) / EXPECTED));
  const out = resolve(options['out'] ?? join('.espalier', 'bench-cacp'));
  mkdirSync(out, { recursive: true });
  const run = { folder: out, dataFolder: data, threads: threadFiles };
  const configOf = (method: ConfigInput['method'], flops: number, most: number): Config =>
    configSchema.parse({
      model: join(data, 'models', 'cifar10_resnet20.onnx'),
      data: { name: 'cifar10', normalization: IMAGENET },
      method,
      goal: { flops },
      reward: 'accuracy',
      stages: { prune: true, quantize: false },
      // In steps of 8, which run fastest, the narrowest network with whole residual streams still has 30.5 % of the FLOPs.
      pruning: { reestimateBatchNorm: false, widthMultiple: 4 },
      search: { scorings: most, actors: Number(options['actors'] ?? 1), ...(options['images'] && { images: Number(options['images']) }) },
      recovery: { epochs: 0 },
    });
  const ratios: number[] = [];
  for (let seed = 1; seed <= args.seeds; seed++) {
    const middle = targets[Math.floor((targets.length - 1) / 2)];
    const cacp = configOf({ name: 'cacp', options: { targets: targets.join(',') } }, middle, shared);
    const one = await runCell(cacp, { method: 'cacp', seed }, join(out, 'runs', 'shared'), run);
    const { events } = readJournal(new RunFolder(one.run).journal);
    const curves: TargetCurves[] = [];
    for (const flops of targets) {
      const config = configOf('amc', flops, scorings);
      const own = await runCell(config, { method: 'amc', seed }, join(out, 'runs', `flops-${flops}`), run);
      const pair = { single: own.curve, shared: searchOf(events, { ...cacp, goal: { ...cacp.goal, flops } }).curve };
      if (pair.single.length === 0) throw new Error(`AMC found no candidate within ${flops} of the FLOPs: give it more --scorings`);
      curves.push(pair);
      const wanted = pair.single[pair.single.length - 1][1] - MARGIN;
      printRow(args, {
        seed,
        flops,
        images: own.searchImages,
        amc: 100 * (own.searchAccuracy ?? 0),
        amcScorings: own.scorings,
        amcUntil: scoringsUntil(pair.single, wanted) ?? 0,
        cacp: 100 * (pair.shared.at(-1)?.[1] ?? 0),
        cacpScorings: one.scorings,
        cacpUntil: scoringsUntil(pair.shared, wanted) ?? 'not reached',
      });
    }
    const found = comparedWithSingle(curves, MARGIN);
    if (found.ratio !== null) ratios.push(found.ratio);
    printRow(args, {
      seed,
      flops: 'all',
      amcUntil: found.single,
      cacpUntil: found.shared ?? 'not reached',
      timesFewer: found.ratio ?? 'not reached',
      timesFewerThanWholeSearches: found.shared === null ? 'not reached' : (targets.length * scorings) / found.shared,
    });
  }
  const median = ratios.length > 0 ? `; median of those ${spread(ratios).median.toFixed(2)} times fewer scorings` : '';
  note(`within half a point at every target in ${ratios.length} of ${args.seeds} seeds${median} (expected: ${EXPECTED})`);
}
