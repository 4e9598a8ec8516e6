/** `espalier inspect <model>`: layers, channel groups and why they are coupled, what stays whole and why, costs. */
import { resolve } from 'node:path';
import { preprocessingText, readPreprocessing } from '../../engine/data/model-preprocessing';
import { formatOf, loadAnyModel, modelHash } from '../../engine/formats/registry';
import { layerGraph } from '../../engine/graph/layer-graph';
import { normalize } from '../../engine/graph/passes/normalize';
import { formatBytes, formatCount } from '../../engine/search/figures';
import type { LayerGraph, ValueShape } from '../../protocol/layer-graph';
import { isConfigPath, readConfigFile } from '../config-input';
import { tableText } from '../table';

export async function inspect(path: string, options: { json?: boolean }): Promise<void> {
  const modelPath = isConfigPath(path) ? resolve(path, '..', readConfigFile(path).model) : path;
  const { model, notes, changes } = normalize(await loadAnyModel(modelPath));
  const sha256 = await modelHash(modelPath);
  const graph = layerGraph(model, { modelPath: resolve(modelPath), sha256, format: (await formatOf(modelPath)).name });
  const preprocessing = readPreprocessing(model.metadata);
  if (options.json) process.stdout.write(`${JSON.stringify({ ...graph, preprocessing, notes, changes })}\n`);
  else process.stdout.write(`${inspectText(graph, notes, changes, preprocessing && preprocessingText(preprocessing))}\n`);
}

const shape = ({ name, type, shape: dims }: ValueShape): string => `${name} ${type} [${dims?.map((d) => d ?? '?').join(', ') ?? '?'}]`;

/** @param preprocessing what the file states of it, in words */
export function inspectText(graph: LayerGraph, notes: readonly string[], changes: readonly string[] = [], preprocessing?: string): string {
  const layers = graph.nodes.filter((n) => n.weights.length > 0 && (n.params > 0 || n.quantizable !== undefined));
  const rows = layers.map((n) => [
    n.name,
    n.opType,
    n.weights[0].shape?.join('×') ?? '',
    formatCount(n.params),
    n.macs === null ? '?' : formatCount(n.macs),
    n.groups.join(', '),
  ]);
  const prunable = graph.groups.filter((g) => g.prunable);
  const frozen = graph.groups.filter((g) => !g.prunable);
  const lines = [
    graph.modelPath,
    `opset ${graph.opset ?? '?'}; in: ${graph.inputs.map(shape).join('; ')}; out: ${graph.outputs.map(shape).join('; ')}`,
    `${formatCount(graph.params)} parameters, ${formatCount(graph.macs)} multiply-accumulates a sample, ${formatBytes(graph.bytes)} of weights`,
    ...(preprocessing === undefined ? [] : [`pre-processing stated in the file: ${preprocessing}`]),
    '',
    tableText([['layer', 'operator', 'weight', 'parameters', 'MACs', 'groups'], ...rows], [3, 4]),
    '',
    `${prunable.length} channel groups that can be pruned:`,
    ...prunable.map((g) => `  ${g.id} (${g.channels} channels): ${g.explanation}`),
  ];
  if (frozen.length > 0) lines.push('', 'Not pruned:', ...frozen.map((g) => `  ${g.id} (${g.channels} channels): ${g.reason}`));
  if (graph.unknownOperators.length > 0)
    lines.push('', 'Carried through untouched:', ...graph.unknownOperators.map((u) => `  ${u.reason}`));
  if (changes.length > 0) lines.push('', 'Put into Espalier’s form:', ...changes.map((c) => `  ${c}`));
  if (notes.length > 0) lines.push('', 'Notes:', ...notes.map((n) => `  ${n}`));
  return lines.join('\n');
}
