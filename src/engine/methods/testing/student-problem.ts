/** A student problem that takes no time: parts that matter or not, and two groups to narrow in what is left. */
import type { Config } from '../../../protocol/config';
import type { ModelCost, Policy } from '../../../protocol/policy';
import type { WidthChoices } from '../../search/budget';
import type { StudentDesign } from '../../search/student';
import { type StudentStageParts, studentSearch } from '../../search/student-stage';
import { keptChannels, type WidthGroup } from '../../search/width-stage';
import { findMethod } from '../registry';
import { type Play, type PlayOptions, playStage } from './play';

const ACCURACY = 0.95;
const BASE_PARAMS = 1000;
/** Parameters of each part, and the accuracy that goes with it. */
const PARTS = [
  { name: 'a', params: 3000, worth: 0.3 },
  { name: 'b', params: 3000, worth: 0.005 },
  { name: 'c', params: 500, worth: 0.2 },
  { name: 'd', params: 4000, worth: 0.01 },
];
/** Channels of each group, parameters of each channel, and what narrowing it costs (loss = sensitivity · ratio²). */
const GROUPS = [
  { channels: 20, perChannel: 100, sensitivity: 0.02 },
  { channels: 20, perChannel: 100, sensitivity: 0.6 },
];

const choices: WidthChoices[] = GROUPS.map(({ channels }) => ({
  channels,
  widths: Array.from({ length: 10 }, (_, i) => channels - 2 * i),
}));
export const studentGroups: WidthGroup[] = GROUPS.map(({ channels, perChannel }, index) => ({
  id: `g${index}`,
  choices: choices[index],
  features: { index, outChannels: channels, inChannels: channels, kernel: [3, 3], stride: 1, flops: channels * perChannel },
}));

/** What may go without harm. */
export const needless = ['b', 'd'];

const lossOf = ({ removed, widths }: StudentDesign): number =>
  PARTS.reduce((sum, p) => sum + (removed.includes(p.name) ? p.worth : 0), 0) +
  GROUPS.reduce((sum, g, i) => {
    const kept = widths.find(([id]) => id === `g${i}`)?.[1] ?? g.channels;
    return sum + g.sensitivity * (1 - kept / g.channels) ** 2;
  }, 0);

export function studentCost(policy: Policy): ModelCost {
  const kept = keptChannels(policy, studentGroups);
  const params =
    BASE_PARAMS +
    PARTS.reduce((sum, p) => sum + (policy.removed?.includes(p.name) ? 0 : p.params), 0) +
    GROUPS.reduce((sum, g, i) => sum + kept[i] * g.perChannel, 0);
  return { macs: 10 * params, effectiveMacs: 10 * params, params, effectiveParams: params, weightBytes: 4 * params };
}

export function playStudents(name: Config['method']['name'], options: PlayOptions = {}): Promise<Play> {
  const whole = studentCost({ ratios: {}, bits: {} });
  return playStage(
    name,
    {
      input: { goal: {}, search: { episodes: 160, actors: 2 } },
      original: { accuracy: ACCURACY, flops: whole.macs, params: whole.params, bytes: whole.weightBytes, sparsity: 0 },
      run: (context, count) => {
        const { config } = context;
        const limit = config.goal.params;
        const parts: StudentStageParts = {
          parts: PARTS.map(({ name: part, params }, index) => ({
            name: part,
            layers: index % 2 === 0 ? 2 : 1,
            block: index % 2 === 0,
            features: { index, outChannels: 16, inChannels: 16, kernel: [3, 3], stride: 1, flops: params },
          })),
          removalShare: findMethod(name).student!(config).removalShare,
          cost: (removed) => studentCost({ ratios: {}, bits: {}, removed }),
          measure: async (design) => {
            count(design);
            return { accuracy: Math.max(0, ACCURACY - lossOf(design)) };
          },
          least: (removed) =>
            limit === undefined ? 0 : studentCost({ ratios: { g0: 0.9, g1: 0.9 }, bits: {}, removed }).params / (limit * whole.params),
          shrink: (removed) => {
            const at = (kept: readonly number[]): number =>
              studentCost({ ratios: Object.fromEntries(kept.map((k, i) => [`g${i}`, 1 - k / GROUPS[i].channels])), bits: {}, removed })
                .params;
            return {
              groups: studentGroups,
              budget:
                limit === undefined ? undefined : { cost: (kept) => at(kept) / (limit * whole.params), budget: { ceiling: 1, floor: 0 } },
              flops: at,
              cost: (policy) => studentCost({ ...policy, removed }),
            };
          },
          keep: async () => {},
        };
        return studentSearch(context, parts);
      },
    },
    options,
  );
}
