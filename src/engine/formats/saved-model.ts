/**
 * TensorFlow SavedModels: a folder with `saved_model.pb` (graph, functions, signatures) and the variables beside it. The signature for serving is read:
 * its functions are put in place, variables become constants, and the graph goes the way of TensorFlow.js graph models.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UserError } from '../errors';
import { decode } from '../onnx/codec';
import type { ModelFormat } from './format';
import { DAMAGED_GRAPH, type GraphNode, referenceOf } from './graphdef';
import { modelFromGraph } from './graphdef-model';
import { type FlatNode, FunctionInliner } from './tensorflow-functions';
import { type MetaGraphDef, type SavedModelDef, type SignatureDef, savedModelSpec } from './tensorflow-schema';
import { VariablesBundle } from './variables-bundle';
import type { Weight } from './weights';

const SERVING = 'serving_default';
const VARIABLES = new Set(['VarHandleOp', 'VariableV2', 'Variable']);
const ASSIGNS = new Set(['AssignVariableOp', 'Assign']);

const bundleOf = (path: string): string => join(dirname(path), 'variables', 'variables');

export const savedModel: ModelFormat = {
  name: 'TensorFlow SavedModel',
  extensions: ['.pb'],
  // The version of the schema (1), then the first meta graph, which begins with a message of its own; ONNX has a text there.
  sniff: (_path, head) => head[0] === 0x08 && head[1] === 1 && head[2] === 0x12 && head[afterVarint(head, 3)] === 0x0a,
  async read(path) {
    const { metaGraphs } = decode<SavedModelDef>(await readFile(path), savedModelSpec);
    const meta = metaGraphs.find((m) => m.info?.tags.includes('serve')) ?? metaGraphs.at(0);
    if (!meta?.graph || meta.graph.nodes.length === 0)
      throw new UserError(
        `${path} holds no graph of a TensorFlow SavedModel`,
        'Name the folder of a SavedModel, or its saved_model.pb; a frozen graph is converted with "python -m tf2onnx.convert --graphdef".',
      );
    const { nodes, inputs, outputs, weights } = await servingGraph(meta, path);
    return { ...modelFromGraph({ nodes, inputs, outputs, weights }, 'graph'), metadata: new Map([['espalier.source', 'saved-model']]) };
  },
  companions: async (path) => VariablesBundle.filesOf(bundleOf(path)),
};

function afterVarint(bytes: Uint8Array, at: number): number {
  let i = at;
  while (i < at + 9 && bytes[i] >= 128) i++;
  return i + 1;
}

interface ServingGraph {
  readonly nodes: GraphNode[];
  readonly inputs: string[];
  readonly outputs: string[];
  readonly weights: Map<string, Weight>;
}

async function servingGraph(meta: MetaGraphDef, path: string): Promise<ServingGraph> {
  const signature = signatureOf(meta);
  const ends = (entries: SignatureDef['inputs']): Array<[key: string, value: string]> =>
    entries.map(({ key = '', value }) => [key, value?.name ?? '']);
  const [fed, given] = [ends(signature.inputs), ends(signature.outputs)];
  const inliner = new FunctionInliner(meta.graph!);
  const restore = meta.saver?.restoreOp;
  // Assignments too: they say which variable is saved under which key.
  const flat = inliner.nodesFor([...given.map(([, value]) => value), ...(restore ? [restore] : [])]);
  const keys = savedKeys(flat);
  // Inputs and outputs under the names that the signature has for them.
  const taken = new Set(flat.map((n) => n.name));
  const renamed = new Map<string, string>();
  for (const [key, value] of fed) if (key !== '' && !taken.has(key)) renamed.set(referenceOf(value).node, key);
  const named = (value: string): string => {
    const { node, output } = referenceOf(value);
    const name = renamed.get(node);
    return name === undefined ? value : output === 0 ? name : `${name}:${output}`;
  };
  const weights = new Map<string, Weight>();
  const nodes: GraphNode[] = [];
  const needed = neededBy(
    flat,
    given.map(([, value]) => inliner.resolve(value)),
  );
  let bundle: VariablesBundle | undefined;
  for (const node of flat) {
    if (!needed.has(node.name)) continue;
    const { name, op, inputs, attributes } = node;
    if (!VARIABLES.has(op)) {
      nodes.push({ name: renamed.get(name) ?? name, op, inputs: inputs.map(named), attributes });
      continue;
    }
    const key = keys.get(name);
    if (key === undefined)
      throw new UserError(`the variable '${name}' is not restored from any file`, 'Save the model again, with its variables.');
    bundle ??= await VariablesBundle.open(bundleOf(path));
    weights.set(name, await bundle.read(key));
    nodes.push({ name, op: 'Const', inputs: [], attributes });
  }
  const outputs = given.map(([key, value], i) => {
    const source = named(inliner.resolve(value));
    if (source === key) return key;
    let name = key === '' || taken.has(key) ? `${key}/output` : key;
    while (taken.has(name)) name = `${name}_${i}`;
    taken.add(name);
    nodes.push({ name, op: 'Identity', inputs: [source], attributes: new Map() });
    return name;
  });
  return { nodes, inputs: fed.map(([, value]) => named(value)), outputs, weights };
}

/** @throws UserError naming the signatures there are, where none is for serving */
function signatureOf({ signatures }: MetaGraphDef): SignatureDef {
  const usable = signatures.filter((s) => (s.value?.outputs.length ?? 0) > 0 && (s.value?.inputs.length ?? 0) > 0);
  const found = usable.find((s) => s.key === SERVING) ?? (usable.length === 1 ? usable[0] : undefined);
  if (found?.value) return found.value;
  throw new UserError(
    usable.length === 0
      ? 'the SavedModel has no signature to serve'
      : `the SavedModel has the signatures ${usable.map((s) => s.key).join(', ')}, and none is called ${SERVING}`,
    'Save it with one: model.export(folder) in Keras, or tf.saved_model.save(model, folder, signatures=function).',
  );
}

/** The nodes that values depend on, by name. */
function neededBy(nodes: readonly FlatNode[], values: readonly string[]): Set<string> {
  const byName = new Map(nodes.map((n) => [n.name, n]));
  const needed = new Set<string>();
  const stack = values.map((v) => referenceOf(v).node);
  for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
    if (needed.has(name)) continue;
    needed.add(name);
    for (const input of byName.get(name)?.inputs ?? []) stack.push(referenceOf(input).node);
  }
  return needed;
}

/** Under which key of the checkpoint each variable lies, as the graph's own restoring says: Assign(variable, Identity…(RestoreV2 output k)). */
function savedKeys(nodes: readonly FlatNode[]): Map<string, string> {
  const byName = new Map(nodes.map((n) => [n.name, n]));
  const behind = (value: string): { node?: FlatNode; output: number } => {
    let { node, output } = referenceOf(value);
    for (let step = 0; step < nodes.length && byName.get(node)?.op === 'Identity'; step++)
      ({ node, output } = referenceOf(byName.get(node)!.inputs[0] ?? ''));
    return { node: byName.get(node), output };
  };
  const keys = new Map<string, string>();
  for (const { op, inputs } of nodes) {
    if (!ASSIGNS.has(op)) continue;
    const { node: source, output } = behind(inputs[1] ?? '');
    if (source?.op !== 'RestoreV2') continue;
    const names = behind(source.inputs[1] ?? '').node?.def.attributes.find((a) => a.key === 'value')?.value?.tensor?.strings;
    const key = names?.[output];
    if (!key) throw new UserError(`restoring '${inputs[0]}' names no key`, DAMAGED_GRAPH);
    keys.set(behind(inputs[0]).node?.name ?? inputs[0], Buffer.from(key).toString('utf8'));
  }
  return keys;
}
