/** `report.md` of a run: before and after, what the agent chose, the front, and what it all was measured on. */

import { writeFileAtomic } from './atomic-file';
import { formatBytes, formatCount, formatMilliseconds, formatPercent, formatSeconds } from './figures';
import type { FinalResult, MeasuredFile } from './finish';
import { thisMachine } from './recorder';
import type { RunContext, StageEnd } from './run-context';
import type { StageCounts } from './search-stage';
import { sensitivitySection } from './sensitivity-report';
import type { TargetResult } from './width-stage';

export interface ReportFacts {
  readonly goalMet: boolean;
  readonly reason: StageEnd;
  readonly scorings: Readonly<Record<'prune' | 'quantize', StageCounts>>;
  /** What stage 1 found for each of several targets; empty or absent where the method has one. */
  readonly targets?: readonly TargetResult[];
  /** What only the method has to say, as lines of Markdown. */
  readonly section?: readonly string[];
}

export function writeReport(context: RunContext, result: FinalResult, facts: ReportFacts): void {
  writeFileAtomic(context.folder.report, reportText(context, result, facts));
}

/** Rows of the before → after table: label, before, after. */
export function comparisonRows({ before, after, measure = 'accuracy' }: FinalResult): Array<[string, string, string]> {
  const rows: Array<[string, string, string]> = [
    [`${measure} (${after.images} held-out samples, from the file)`, formatPercent(before.accuracy), formatPercent(after.accuracy)],
    ['parameters, structured', formatCount(before.cost.params), formatCount(after.cost.params)],
    ['parameters, effective (not zero)', formatCount(before.cost.effectiveParams), formatCount(after.cost.effectiveParams)],
    ['MACs, structured', formatCount(before.cost.macs), share(after.cost.macs, before.cost.macs)],
    ['MACs, effective', formatCount(before.cost.effectiveMacs), share(after.cost.effectiveMacs, before.cost.macs)],
    ['weights at their bits', formatBytes(before.cost.weightBytes), formatBytes(after.cost.weightBytes)],
    ['file', formatBytes(before.cost.fileBytes ?? 0), formatBytes(after.cost.fileBytes ?? 0)],
    ['file, brotli', formatBytes(before.cost.brotliBytes ?? 0), formatBytes(after.cost.brotliBytes ?? 0)],
  ];
  for (const l of before.latency) {
    const other = after.latency.find((a) => a.batch === l.batch);
    if (other)
      rows.push([
        `ms at batch ${l.batch}`,
        formatMilliseconds(l),
        `${formatMilliseconds(other)} (×${(l.median / other.median).toFixed(2)})`,
      ]);
  }
  return rows;
}

const share = (value: number, of: number): string => `${formatCount(value)} (${formatPercent(value / of)})`;

function reportText(context: RunContext, result: FinalResult, facts: ReportFacts): string {
  const { config, prepared, recorder, folder, backend } = context;
  const machine = thisMachine();
  const lines = [
    `# ${folder.id}`,
    '',
    `Model \`${prepared.modelPath}\`, data ${prepared.data.name}, method ${config.method.name}, seed ${config.seed}. Goal ${facts.goalMet ? 'met' : 'not met'}${facts.reason === 'complete' ? '' : ` (ended by ${facts.reason})`}, ${formatSeconds(recorder.seconds)}.`,
    '',
    '| | before | after |',
    '|---|---|---|',
    ...comparisonRows(result).map((r) => `| ${r.join(' | ')} |`),
    '',
    `Times: median (middle half) of interleaved runs, with one thread or on all cores, whichever is quicker; ${machine.cpu}, ${machine.cores} cores; ${result.arithmetic}.`,
    '',
    '## What was chosen',
    '',
    '| layer | channels | bits | parameters, not zero | MACs |',
    '|---|---|---|---|---|',
    ...result.layers.map(
      (l) =>
        `| ${l.name} | ${l.channelsBefore}${l.channelsAfter === l.channelsBefore ? '' : ` → ${l.channelsAfter}`} | ${l.bits === 32 ? 'float' : l.bits} | ${formatCount(l.params)}${l.effectiveParams === l.params ? '' : `, ${formatCount(l.effectiveParams)}`} | ${formatCount(l.macs)} |`,
    ),
    '',
    '## Search',
    '',
    ...(['prune', 'quantize'] as const)
      .filter((s) => facts.scorings[s].scorings > 0)
      .map(
        (s) =>
          `- ${s}: ${facts.scorings[s].scorings} scorings on ${prepared.data.search.count} samples, ${facts.scorings[s].completePolicies} of them complete policies; ${facts.scorings[s].updates} updates of the agent (${backend.name})${facts.scorings[s].trainingSteps ? `; ${facts.scorings[s].trainingSteps} training steps` : ''}`,
      ),
    '',
  ];
  if (facts.targets && facts.targets.length > 0) {
    lines.push(
      '### Best for each target (search samples, before recovery; files best/untrained-flops-SHARE.onnx)',
      '',
      '| target, share of MACs | candidate | accuracy | MACs | parameters |',
      '|---|---|---|---|---|',
      ...facts.targets.map(
        ({ share: target, candidate: c }) =>
          `| ${target.toFixed(3)} | ${c.id} | ${formatPercent(c.accuracy)} | ${share(c.cost.macs, prepared.costs.macs)} | ${formatCount(c.cost.params)} |`,
      ),
      '',
    );
  }
  const front = recorder
    .frontIds()
    .map((id) => recorder.candidates.get(id)!)
    .filter((c) => c.stage === 'prune' && !c.partial);
  if (front.length > 0) {
    lines.push(
      '### Pareto front of stage 1 (search samples, before recovery)',
      '',
      '| candidate | accuracy | MACs | parameters |',
      '|---|---|---|---|',
    );
    for (const c of front.sort((a, b) => b.accuracy - a.accuracy)) {
      lines.push(`| ${c.id} | ${formatPercent(c.accuracy)} | ${share(c.cost.macs, prepared.costs.macs)} | ${formatCount(c.cost.params)} |`);
    }
    lines.push('');
  }
  lines.push(...(facts.section ?? []));
  if (prepared.notes.length > 0) lines.push('## Notes', '', ...prepared.notes.map((n) => `- ${n}`), '');
  lines.push(...sensitivitySection(folder.path, prepared));
  if (prepared.frozen.length > 0) {
    lines.push('## Not pruned', '', ...prepared.frozen.map((f) => `- ${f.id} (${f.channels} channels): ${f.reason}`), '');
  }
  return `${lines.join('\n')}\n`;
}

export type { MeasuredFile };
