/**
 * The four parts that steady the two-stage PPO (Zhan, Lin, Cao: clip, slow targets, noise on the target action, updates at every step), each
 * turned off alone and all at once, beside DDPG as in AMC; and the plain form without normalised Q. Numbers of episodes are equal, as in the
 * paper's figure: PPO scores after every step, DDPG once an episode, and the table prints how many scorings that is. All agents have the same
 * reward (accuracy), budget, pruner and samples. A second table shows what the factor 1 − p is worth when weights are masked by information dropout.
 *
 * ResNet-20 on CIFAR-10 at half of its FLOPs; `--quick`: LeNet-5 on generated digits, without reconstruction, which needs no data. Writes
 * ablation.md and ablation.svg to `--docs` (docs). Cells that are done are kept in `--out`. Options: `--episodes`, `--images`,
 * `--from` (first seed) and `--variants`
 * (some of them, by the names of their folders; all-on is always there), for several processes on one `--out`.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type CellResult, runCell } from '../src/engine/compare/cell';
import { episodeRewards, lastQuarterMean, type RewardPanel, type RewardRun, rewardCurves } from '../src/engine/compare/reward-curves';
import { type Spread, spread } from '../src/engine/compare/summary';
import { readJournal } from '../src/engine/search/journal';
import { thisMachine } from '../src/engine/search/recorder';
import { RunFolder } from '../src/engine/search/run-folder';
import { trainBaseline } from '../src/engine/search/train-baseline';
import { type ConfigInput, configSchema } from '../src/protocol/config';
import { type BenchArguments, dataFolder, IMAGENET, note, printRow, threadFiles } from './bench';

const OFF = { clip: false, slowTargets: false, targetNoise: false, perStepUpdates: false };

interface Variant {
  /** Of its folder, and in the table and the figure. */
  readonly name: string;
  readonly title: string;
  readonly method: 'two-stage-ppo' | 'amc';
  readonly agent: ConfigInput['agent'];
}

const ppo = (name: string, title: string, agent: ConfigInput['agent']): Variant => ({ name, title, method: 'two-stage-ppo', agent });
const ALL_ON = ppo('all-on', 'PPO, all on', {});
const ALL_OFF = ppo('all-off', 'PPO, all four off', OFF);
const DDPG: Variant = { name: 'ddpg', title: 'DDPG (AMC)', method: 'amc', agent: {} };
const VARIANTS: readonly Variant[] = [
  ALL_ON,
  DDPG,
  ppo('no-clip', 'without clip', { clip: false }),
  ppo('no-slow-targets', 'without slow targets', { slowTargets: false }),
  ppo('no-target-noise', 'without target noise', { targetNoise: false }),
  ppo('no-step-updates', 'without per-step updates', { perStepUpdates: false }),
  ppo('no-normalized-q', 'without normalised Q', { normalizeQ: false }),
  ALL_OFF,
];

interface Setting {
  readonly title: string;
  readonly episodes: number;
  readonly config: ConfigInput;
  /** The pruner and what scores, in a sentence. */
  readonly about: string;
}

export async function run(args: BenchArguments): Promise<void> {
  const quick = args.options['quick'] === 'true';
  const out = resolve(args.options['out'] ?? join('.espalier', quick ? 'bench-ablation-quick' : 'bench-ablation'));
  const docs = resolve(args.options['docs'] ?? join(__dirname, '..', 'docs'));
  mkdirSync(out, { recursive: true });
  const digits = await digitsBaseline(out);
  const setting = quick ? lenet(digits, args) : resnet(dataFolder(args), args);
  const options = { folder: out, dataFolder: args.data, threads: threadFiles };
  const from = Number(args.options['from'] ?? 1);
  const seeds = Array.from({ length: args.seeds - from + 1 }, (_, i) => from + i);

  const wanted = args.options['variants']?.split(',');
  const variants = VARIANTS.filter((v) => v === ALL_ON || !wanted || wanted.includes(v.name));
  const factor = await dropFactor(args, out, digits, seeds);
  const cells = new Map<Variant, Array<CellResult & { rewards: readonly number[] }>>(variants.map((v) => [v, []]));
  // Seed by seed, so that what there is at any moment can be compared.
  for (const seed of seeds) {
    for (const variant of variants) {
      const config = configSchema.parse({ ...setting.config, method: variant.method, agent: variant.agent });
      const result = await runCell(config, { method: variant.method, seed }, join(out, 'runs', variant.name), options);
      const rewards = episodeRewards(readJournal(new RunFolder(result.run).journal).events);
      cells.get(variant)!.push({ ...result, rewards });
      printRow(args, {
        variant: variant.title,
        seed,
        best: 100 * (result.searchAccuracy ?? 0),
        lastQuarter: lastQuarterMean(rewards),
        accuracy: 100 * result.accuracy,
        episodes: rewards.length,
        scorings: result.scorings,
        updateRounds: result.updates,
        seconds: result.seconds,
      });
    }
    const command = `npm run -s bench -- ablation${quick ? ' --quick' : ' --data DIR'}${wanted ? ` --variants ${wanted.join(',')}` : ''}`;
    write(docs, command, setting, cells, factor);
  }
  note(`cells: ${out}; page and figure: ${docs}`);
}

type Cells = ReadonlyMap<Variant, ReadonlyArray<CellResult & { rewards: readonly number[] }>>;

/** Page and figure of the seeds that there are by now. */
function write(docs: string, command: string, setting: Setting, cells: Cells, factor: ReadonlyMap<boolean, readonly CellResult[]>): void {
  const seeds = cells.get(ALL_ON)!.length;
  const runs = [...cells].flatMap(([v, list]) => list.map((c): RewardRun => ({ variant: v.title, seed: c.seed, rewards: c.rewards })));
  const window = Math.max(1, Math.round(setting.episodes / 20));
  const panels: RewardPanel[] = [
    { title: 'DDPG beside PPO: mean, lowest to highest seed', variants: [ALL_ON.title, DDPG.title], banded: true },
    {
      title: 'Parts turned off: mean over seeds',
      variants: [...cells.keys()].filter((v) => v !== DDPG).map((v) => v.title),
      banded: false,
    },
  ];
  const drawnOf = `${setting.title}; ${seeds} seeds; reward = accuracy of the episode's policy on the search samples, trailing mean of ${window} episodes`;
  writeFileSync(join(docs, 'ablation.svg'), rewardCurves(runs, panels, window, drawnOf));
  writeFileSync(join(docs, 'ablation.md'), page(command, setting, cells, factor));
}

function resnet(data: string, args: BenchArguments): Setting {
  const episodes = Number(args.options['episodes'] ?? 60);
  return {
    title: 'ResNet-20, CIFAR-10, half of the FLOPs',
    episodes,
    about: 'Channels go by L1 norm, their readers are refitted by least squares (AMC’s pruner, for all).',
    config: {
      model: join(data, 'models', 'cifar10_resnet20.onnx'),
      data: { name: 'cifar10', normalization: IMAGENET },
      goal: { flops: 0.5 },
      reward: 'accuracy',
      stages: { prune: true, quantize: false },
      pruning: { selection: 'l1', refit: false, reestimateBatchNorm: false },
      search: { episodes, actors: 2, images: Number(args.options['images'] ?? 1000) },
      recovery: { epochs: 0 },
    },
  };
}

const DIGITS = { name: 'digits', digits: { train: 3000, test: 1500 } } satisfies ConfigInput['data'];

function lenet(model: string, args: BenchArguments): Setting {
  const episodes = Number(args.options['episodes'] ?? 60);
  return {
    title: 'LeNet-5, generated digits, half of the FLOPs',
    episodes,
    about:
      'Channels go by L1 norm, and nothing is refitted, so that a scoring costs milliseconds and policies differ much. This setting was chosen after another, 30 % of the FLOPs with widths in steps of 8, had shown no differences: its budget left so few policies that the variants tried all ended with the same one.',
    config: {
      model,
      data: DIGITS,
      goal: { flops: 0.5 },
      reward: 'accuracy',
      stages: { prune: true, quantize: false },
      // Every width: see `about`.
      pruning: { selection: 'l1', reconstruct: false, refit: false, widthMultiple: 1 },
      search: { episodes, actors: 1, images: Number(args.options['images'] ?? 300) },
      recovery: { epochs: 0 },
      threads: 1,
    },
  };
}

/** LeNet-5 trained on generated digits, once. @returns its path */
async function digitsBaseline(folder: string): Promise<string> {
  const model = join(folder, 'lenet5-digits.onnx');
  const train = { architecture: 'lenet5', epochs: 4, batch: 32, learningRate: 0.02 };
  if (!existsSync(model)) await trainBaseline(configSchema.parse({ model, data: DIGITS, train }), { folder });
  return model;
}

const SPARSITY = 0.95;

/** Masks on single weights by |w|·(1 − p)·rms and by |w|·rms, after the same training with noise: LeNet-5 on digits, all channels kept. */
async function dropFactor(
  args: BenchArguments,
  out: string,
  model: string,
  seeds: readonly number[],
): Promise<ReadonlyMap<boolean, readonly CellResult[]>> {
  const results = new Map<boolean, CellResult[]>();
  for (const useDropProbability of [true, false]) {
    const own: CellResult[] = [];
    for (const seed of seeds) {
      const config = configSchema.parse({
        model,
        data: DIGITS,
        method: 'uniform',
        goal: { flops: 1 },
        stages: { prune: true, quantize: false },
        pruning: { variational: { enabled: true, useDropProbability, targetSparsity: SPARSITY, epochs: 2, retrainEpochs: 2 } },
        recovery: { epochs: 0 },
        threads: 1,
      });
      const runs = join(out, 'runs', useDropProbability ? 'factor' : 'no-factor');
      const result = await runCell(config, { method: 'uniform', seed }, runs, { folder: out, threads: threadFiles });
      own.push(result);
      printRow(args, {
        variant: useDropProbability ? 'with 1 − p' : 'without 1 − p',
        seed,
        accuracy: 100 * result.accuracy,
        effectiveParams: 100 * result.effectiveParams,
        seconds: result.seconds,
      });
    }
    results.set(useDropProbability, own);
  }
  return results;
}

const percent = (v: number): string => (100 * v).toFixed(2);
const text = ({ median, low, high }: Spread, show: (v: number) => string): string => `${show(median)} (${show(low)}–${show(high)})`;
const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
const table = (head: readonly string[], rows: ReadonlyArray<readonly string[]>): string[] => [
  row(head),
  row(head.map(() => '---')),
  ...rows.map(row),
];

function page(command: string, setting: Setting, cells: Cells, factor: ReadonlyMap<boolean, readonly CellResult[]>): string {
  const { cpu, cores, platform, architecture } = thisMachine();
  const [first] = [...cells.values()].flat();
  const [masked] = factor.get(true)!;
  const reference = cells.get(ALL_ON)!;
  const rows = [...cells].map(([variant, list]): string[] => {
    const better = list.filter((c, i) => lastQuarterMean(c.rewards) > lastQuarterMean(reference[i].rewards)).length;
    return [
      variant.title,
      text(spread(list.map((c) => c.searchAccuracy ?? 0)), percent),
      text(spread(list.map((c) => lastQuarterMean(c.rewards))), (v) => v.toFixed(4)),
      variant === ALL_ON ? '' : `${better} of ${list.length}`,
      text(spread(list.map((c) => c.accuracy)), percent),
      text(spread(list.map((c) => c.scorings)), String),
      text(spread(list.map((c) => c.updates)), String),
    ];
  });
  return [
    '# Ablation of the two-stage PPO',
    '',
    `Written by \`${command}\`. ${setting.title}: ${setting.episodes} episodes for every variant, ${reference.length} seeds. ${setting.about} The reward is the accuracy on ${first.searchImages} search samples; the file's accuracy is on ${first.reportImages} others, where the original has ${percent(first.originalAccuracy)} %. Nothing is trained after the search.`,
    '',
    'The four parts are those of Zhan, Lin, Cao, "Deep Model Compression Via Two-Stage Deep Reinforcement Learning"; `agent` in the config turns each off. Episodes are equal, scorings are not: PPO scores after every step of an episode, DDPG once at its end.',
    '',
    '![Reward over episodes](ablation.svg)',
    '',
    'Median over seeds, lowest and highest in brackets. "Better": in how many seeds the mean reward of the last quarter is above that of PPO with all parts on, same seed. A round of updates is one minibatch; where updates are not made per step, as many as the round of episodes had steps.',
    '',
    ...table(
      [
        'variant',
        'best accuracy found, %',
        'mean reward, last quarter',
        'better',
        'accuracy of the file, %',
        'scorings',
        'rounds of updates',
      ],
      rows,
    ),
    '',
    '## The factor 1 − p of information dropout',
    '',
    `Weights are masked by \`|w|·(1 − p)·rms\` or, with \`useDropProbability: false\`, by \`|w|·rms\`. LeNet-5 on generated digits, ${percent(SPARSITY)} % of the weights masked, 2 epochs with noise and 2 of retraining, ${factor.get(true)!.length} seeds; accuracy of the file on ${masked.reportImages} samples, where the original has ${percent(masked.originalAccuracy)} %.`,
    '',
    ...table(
      ['score', 'accuracy of the file, %', 'parameters that are not zero, %'],
      [...factor].map(([on, list]) => [
        on ? 'with 1 − p' : 'without 1 − p',
        text(spread(list.map((c) => c.accuracy)), percent),
        text(spread(list.map((c) => c.effectiveParams)), percent),
      ]),
    ),
    '',
    `${cpu}, ${cores} cores, ${platform} ${architecture}; Node ${process.versions.node}.`,
    '',
  ].join('\n');
}
