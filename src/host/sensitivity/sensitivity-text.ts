/** Sensitivity of a line's layers in words: the hint behind the line, and the table and curves of its hover. */
import * as vscode from 'vscode';
import type { GroupSensitivity, LayerSensitivity } from '../../protocol/layer-graph';
import { pointsText } from '../runs/run-text';
import { svgImage } from '../svg-image';
import { sensitivityCurves } from './curve-image';

const { t } = vscode.l10n;

/** Loss of accuracy that counts as harmless. */
export const HARMLESS_DROP = 0.005;

export interface MeasuredLayer {
  readonly name: string;
  readonly group?: GroupSensitivity;
  readonly bits?: LayerSensitivity;
}

export interface SensitivityOn {
  readonly baseline: number;
  readonly images: number;
  readonly measure: 'accuracy' | 'agreement';
}

type RatioPoint = GroupSensitivity['points'][number];

/** The largest ratio that is harmless, else the smallest that was tried. */
export function bestRatio(group: GroupSensitivity, baseline: number): RatioPoint | undefined {
  const points = group.points.filter(({ ratio }) => ratio > 0).sort((a, b) => a.ratio - b.ratio);
  return points.filter(({ accuracy }) => baseline - accuracy <= HARMLESS_DROP).at(-1) ?? points[0];
}

/** The fewest bits that are harmless; undefined where none are. */
export function fewestBits(layer: LayerSensitivity, baseline: number): number | undefined {
  const harmless = layer.points.filter(({ accuracy }) => baseline - accuracy <= HARMLESS_DROP).map(({ bits }) => bits);
  return harmless.length > 0 ? Math.min(...harmless) : undefined;
}

/** 'prune 60 % → −0.3 pt · 5 bit ok'; several layers of one line by the most sensitive of each. Undefined where nothing was measured. */
export function hintText(layers: readonly MeasuredLayer[], { baseline }: SensitivityOn): string | undefined {
  const ratios = layers.flatMap(({ group }) => (group ? (bestRatio(group, baseline) ?? []) : []));
  const bits = layers.flatMap(({ bits: layer }) => (layer && layer.points.length > 0 ? [fewestBits(layer, baseline)] : []));
  const parts: string[] = [];
  if (ratios.length > 0) {
    const worst = ratios.reduce((a, b) => (b.ratio < a.ratio || (b.ratio === a.ratio && b.accuracy < a.accuracy) ? b : a));
    parts.push(t('prune {0} % → {1}', Math.round(worst.ratio * 100), pointsText(baseline, worst.accuracy)));
  }
  if (bits.length > 0) parts.push(bits.includes(undefined) ? t('bits matter') : t('{0} bit ok', Math.max(...(bits as number[]))));
  if (parts.length === 0) return undefined;
  return layers.length > 1 ? t('{0} layers: {1}', layers.length, parts.join(' · ')) : parts.join(' · ');
}

/** Markdown of a hover: for each layer a table of ratios and bits with the accuracy each leaves, and the curves. */
export function hoverMarkdown(layers: readonly MeasuredLayer[], on: SensitivityOn): string {
  const unit = on.measure === 'accuracy' ? t('accuracy') : t('agreement with the original');
  const sections = layers.map(({ name, group, bits }) => {
    const lines = [`**${name}**`];
    const row = (label: string, points: ReadonlyArray<readonly [head: string, accuracy: number]>): void => {
      lines.push(
        '',
        `| ${[label, ...points.map(([head]) => head)].join(' | ')} |`,
        `| ${['---', ...points.map(() => '---:')].join(' | ')} |`,
        `| ${[unit, ...points.map(([, accuracy]) => pointsText(on.baseline, accuracy))].join(' | ')} |`,
      );
    };
    if (group && group.points.length > 0)
      row(
        t('pruned'),
        [...group.points]
          .sort((a, b) => a.ratio - b.ratio)
          .map((p) => [t('{0} % ({1} ch)', Math.round(p.ratio * 100), p.channels), p.accuracy]),
      );
    if (bits && bits.points.length > 0)
      row(
        t('bits'),
        [...bits.points].sort((a, b) => b.bits - a.bits).map((p) => [String(p.bits), p.accuracy]),
      );
    if (lines.length > 1)
      lines.push('', `![${t('{0} against ratio and bits', unit)}](${svgImage(sensitivityCurves(group, bits, on.baseline))})`);
    return lines.join('\n');
  });
  return [...sections, t('Each alone; without any change {0} % on {1} held-out images.', (on.baseline * 100).toFixed(1), on.images)].join(
    '\n\n',
  );
}
