/** The table of `bench/lottery.ts`, over its seeds. */

import { median, note } from '../bench';
import { type LotteryRow, lotteryRows, lotterySettings } from '../lottery';
import type { Study } from './network';

const TITLES: Readonly<Record<LotteryRow['row'], string>> = {
  mdp: 'MNIST: rows, by Q-learning (lottery-mdp)',
  magnitude: 'MNIST: single weights, by magnitude (lottery-ticket)',
  'mdp transferred': 'Fashion-MNIST: the rows found on MNIST',
  'magnitude transferred': 'Fashion-MNIST: the weights found on MNIST',
};

export const lotteryStudy: Study = async ({ data, args }) => {
  const settings = lotterySettings(args);
  const rows: LotteryRow[] = [];
  for (let seed = 1; seed <= args.seeds; seed++) {
    rows.push(...(await lotteryRows(data, seed, settings)));
    note(`seed ${seed} done`);
  }
  const { images, epochs, episodes, rounds } = settings;
  const figure = (of: readonly number[]): string => {
    const all = of.map((v) => 100 * v);
    return all.length > 1 ? `${median(all).toFixed(2)} (${Math.min(...all).toFixed(2)}–${Math.max(...all).toFixed(2)})` : all[0].toFixed(2);
  };
  return [
    `LeNet-300-100. Every training: ${epochs} epochs of at most ${images.toLocaleString('en')} images, SGD, learning rate 0.05 by a cosine, from the initial weights of the seed. The search: ${episodes} episodes of 40`,
    `actions, scored on 1,000 images; magnitude pruning in ${rounds} rounds. Accuracies in % of 5,000 images that neither training nor search sees; ${args.seeds > 1 ? `medians (range) of ${args.seeds} seeds` : 'one seed'}. A random mask`,
    'is as sparse in every layer, of whole rows beside rows and of single weights beside weights, and trained alike.',
    '',
    '| mask | weights at zero | whole network | ticket | random mask |',
    '| --- | --- | --- | --- | --- |',
    ...(Object.keys(TITLES) as LotteryRow['row'][]).map((name) => {
      const of = rows.filter((r) => r.row === name);
      return `| ${TITLES[name]} | ${figure(of.map((r) => r.sparsity))} % | ${figure(of.map((r) => r.original))} | ${figure(of.map((r) => r.ticket))} | ${figure(of.map((r) => r.randomMask ?? Number.NaN))} |`;
    }),
  ];
};
