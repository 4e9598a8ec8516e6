/** Damages model files: single bytes, cuts, and changes of what the file says that leave it readable. */
import { decode, encode } from '../../onnx/codec';
import { type GraphProto, type Int64, type ModelProto, modelSpec, type NodeProto, type TensorProto } from '../../onnx/schema';
import type { Random } from '../../random';

const ABSURD: readonly Int64[] = [
  0,
  -1,
  1,
  2,
  3,
  7,
  -7,
  255,
  2 ** 20,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 40,
  -(2 ** 40),
  2n ** 63n - 1n,
  -(2n ** 63n),
];
const NAMES = ['', '__proto__', 'constructor', 'toString', 'hasOwnProperty', 'x', '../../x', '\u0000', 'é'.repeat(50)];
const OPERATORS = [
  ...[
    'Relu',
    'Conv',
    'Gemm',
    'MatMul',
    'Concat',
    'Split',
    'Reshape',
    'Flatten',
    'Transpose',
    'Gather',
    'Slice',
    'Pad',
    'Resize',
    'Tile',
    'Expand',
  ],
  ...[
    'Where',
    'ConstantOfShape',
    'Range',
    'Shape',
    'Squeeze',
    'Unsqueeze',
    'ReduceMean',
    'ReduceSum',
    'ArgMax',
    'Softmax',
    'BatchNormalization',
  ],
  ...[
    'ConvTranspose',
    'MaxPool',
    'AveragePool',
    'GlobalAveragePool',
    'Dropout',
    'Identity',
    'Constant',
    'DepthToSpace',
    'SpaceToDepth',
    'Cast',
  ],
  ...['Add', 'Mul', 'PRelu', 'Clip', 'If', 'Loop', 'Size', 'Upsample', 'Sum', 'Pow', 'Div', '__proto__', 'constructor', 'Unheard'],
];

const pick = <T>(random: Random, list: readonly T[]): T => list[random.below(list.length)];

type Change = (model: ModelProto, graph: GraphProto, random: Random) => void;

const anyTensor = (graph: GraphProto, random: Random): TensorProto | undefined => {
  const constants = graph.node.flatMap((n) => n.attribute.flatMap((a) => (a.t ? [a.t] : [])));
  const all = [...graph.initializer, ...constants];
  return all.length > 0 ? pick(random, all) : undefined;
};

const anyNode = (graph: GraphProto, random: Random): NodeProto | undefined =>
  graph.node.length > 0 ? pick(random, graph.node) : undefined;

/** Replaces the item at a random place. */
function replace<T>(list: T[], item: T, random: Random): void {
  if (list.length > 0) list[random.below(list.length)] = item;
}

/** One field of two messages of a kind, each with the other's content. */
function swap<T extends object>(a: T | undefined, b: T | undefined, field: keyof T): void {
  if (a && b) [a[field], b[field]] = [b[field], a[field]];
}

/** A node some way behind `node`, as the values lead; `node` itself where nothing reads it. */
function behind(graph: GraphProto, node: NodeProto, random: Random): NodeProto {
  let at = node;
  for (let steps = random.below(5); steps > 0; steps--) {
    const readers = graph.node.filter((n) => n.input.some((i) => i !== '' && at.output.includes(i)));
    if (readers.length === 0) break;
    at = pick(random, readers);
  }
  return at;
}

function integers(values: readonly number[], fraction: (v: bigint) => bigint): Uint8Array {
  return new Uint8Array(BigInt64Array.from(values, (v) => fraction(BigInt(v))).buffer);
}

/** What a broken exporter, a hostile one, or a bad disk may make of a model. */
const CHANGES: readonly Change[] = [
  // Nodes.
  (_m, g, random) => void g.node.splice(random.below(g.node.length + 1), 1),
  (_m, g, random) => {
    const node = anyNode(g, random);
    if (node) g.node.push(node);
  },
  (_m, g, random) => {
    const node = anyNode(g, random);
    if (node) g.node.push({ ...node, output: node.output.map((o) => `${o}_again`) });
  },
  (_m, g, random) => {
    const [a, b] = [anyNode(g, random), anyNode(g, random)];
    if (a && b) replace(a.input, pick(random, b.output.length > 0 ? b.output : ['']), random);
  },
  (_m, g, random) => {
    const node = anyNode(g, random);
    if (node) node.opType = pick(random, OPERATORS);
  },
  (_m, g, random) => {
    const node = anyNode(g, random);
    if (node) node.name = pick(random, NAMES);
  },
  (_m, g, random) => {
    const node = anyNode(g, random);
    if (node) node.domain = pick(random, ['', 'ai.onnx', 'com.microsoft', '__proto__', 'example']);
  },
  (_m, g, random) => void anyNode(g, random)?.input.pop(),
  (_m, g, random) => void anyNode(g, random)?.output.pop(),
  (_m, g, random) => {
    const node = anyNode(g, random);
    if (node) replace(random.below(2) ? node.input : node.output, pick(random, NAMES), random);
  },
  (_m, g, random) => {
    const node = anyNode(g, random);
    const extra = anyTensor(g, random)?.name ?? '';
    if (node) for (let i = random.below(6); i >= 0; i--) node.input.push(extra);
  },
  (_m, g, random) => {
    const node = anyNode(g, random);
    if (node) for (let i = 1 + random.below(4); i > 0; i--) node.output.push(`more_${random.below(1e9)}`);
  },
  (_m, g, random) => void g.node.sort(() => random.uniform() - 0.5),
  // Attributes.
  (_m, g, random) => {
    const node = anyNode(g, random);
    if (node) node.attribute.splice(random.below(node.attribute.length + 1), 1);
  },
  (_m, g, random) => {
    const node = anyNode(g, random);
    const a = node && node.attribute.length > 0 ? pick(random, node.attribute) : undefined;
    if (!a) return;
    if (a.i !== undefined) a.i = pick(random, ABSURD);
    else if (a.ints) replace(a.ints, pick(random, ABSURD), random);
    else if (a.f !== undefined) a.f = pick(random, [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e30]);
    else if (a.s) a.s = new TextEncoder().encode(pick(random, NAMES));
  },
  (_m, g, random) => {
    const a = anyNode(g, random)?.attribute.at(0);
    if (a?.ints) a.ints = random.below(2) ? [] : [...a.ints, pick(random, ABSURD)];
  },
  (_m, g, random) => {
    const node = anyNode(g, random);
    const a = node && node.attribute.length > 0 ? pick(random, node.attribute) : undefined;
    if (a) a.type = random.below(12);
  },
  (_m, g, random) => {
    const [a, b] = [anyNode(g, random), anyNode(g, random)];
    if (a && b) [a.attribute, b.attribute] = [b.attribute, a.attribute];
  },
  // Tensors.
  (_m, g, random) => void g.initializer.splice(random.below(g.initializer.length + 1), 1),
  (_m, g, random) => {
    const t = anyTensor(g, random);
    if (t) replace(t.dims, pick(random, ABSURD), random);
  },
  (_m, g, random) => {
    const t = anyTensor(g, random);
    if (t) t.dims = random.below(2) ? [...t.dims, pick(random, [1, 0, 1, 2])] : [...t.dims].reverse();
  },
  (_m, g, random) => {
    const t = anyTensor(g, random);
    if (t) t.dims = [0, ...Array.from({ length: 1 + random.below(4) }, () => pick(random, ABSURD))];
  },
  (_m, g, random) => {
    const t = anyTensor(g, random);
    if (t) t.dataType = random.below(26);
  },
  (_m, g, random) => {
    const t = anyTensor(g, random);
    if (t?.rawData) t.rawData = t.rawData.subarray(0, random.below(t.rawData.byteLength + 1));
  },
  (_m, g, random) => {
    const t = anyTensor(g, random);
    if (t) t.name = pick(random, [...NAMES, anyTensor(g, random)?.name ?? '']);
  },
  (_m, g, random) => {
    const t = anyTensor(g, random);
    if (!t) return;
    t.dataLocation = 1;
    t.externalData = [
      { key: 'location', value: pick(random, ['/etc/passwd', '../weights', 'weights.bin', '', '.', 'C:\\weights', '\u0000']) },
      { key: pick(random, ['offset', 'length', '__proto__']), value: pick(random, ['-1', '1e99', '4', 'x', '9999999999999']) },
    ];
  },
  // Constant whole numbers: shapes, axes, pads, split sizes.
  (_m, g, random) => {
    const lists = g.initializer.filter((t) => t.dataType === 7 && t.rawData);
    if (lists.length === 0) return;
    const t = pick(random, lists);
    const size = t.rawData!.byteLength >> 3;
    const absurd = BigInt(pick(random, ABSURD));
    const at = random.below(Math.max(1, size));
    const old = new BigInt64Array(t.rawData!.slice(0, 8 * size).buffer);
    t.rawData = integers(
      [...old].map((_, i) => i),
      (i) => (Number(i) === at ? absurd : old[Number(i)]),
    );
  },
  // Inputs, outputs and what the file states in between.
  (_m, g, random) => {
    const values = [...g.input, ...g.output, ...g.valueInfo];
    const dims = values.length > 0 ? pick(random, values).type?.tensorType?.shape?.dim : undefined;
    if (dims) replace(dims, random.below(4) ? { dimValue: pick(random, ABSURD) } : { dimParam: pick(random, NAMES) }, random);
  },
  (_m, g, random) => {
    const shape = [...g.input, ...g.output][random.below(2)]?.type?.tensorType?.shape;
    if (shape) shape.dim = random.below(2) ? [] : [...shape.dim, ...shape.dim];
  },
  (_m, g, random) => {
    const type = [...g.input, ...g.output][random.below(2)]?.type?.tensorType;
    if (type) type.elemType = random.below(26);
  },
  (_m, g, random) => {
    const value = pick(random, [...g.input, ...g.output, { name: '' }]);
    value.name = pick(random, NAMES);
  },
  (_m, g, random) => void (random.below(2) ? g.output : g.input).splice(0, 1),
  (_m, g) => void g.output.push(...g.output),
  // Fields swapped: each well formed, in a place that is not its own.
  (_m, g, random) => swap(anyNode(g, random), anyNode(g, random), pick(random, ['input', 'output', 'opType', 'name', 'domain'] as const)),
  (_m, g, random) =>
    swap(
      anyTensor(g, random),
      anyTensor(g, random),
      pick(random, ['name', 'dims', 'dataType', 'rawData', 'floatData', 'int64Data'] as const),
    ),
  (_m, g, random) => {
    const values = [...g.input, ...g.output, ...g.valueInfo];
    if (values.length > 0) swap(pick(random, values), pick(random, values), pick(random, ['name', 'type'] as const));
  },
  (_m, g, random) => {
    const node = anyNode(g, random);
    if (node) [node.input, node.output] = [node.output, node.input];
  },
  (_m, g) => {
    [g.input, g.output] = [g.output, g.input];
  },
  // A cycle: a node reads what follows from it, or its own result.
  (_m, g, random) => {
    const node = anyNode(g, random);
    const later = node && behind(g, node, random);
    if (node && later && later.output.length > 0) replace(node.input, pick(random, later.output), random);
  },
  // The frame.
  (m, _g, random) => {
    for (const o of m.opsetImport) o.version = pick(random, [...ABSURD, 1, 5, 7, 9, 10, 11, 12, 13, 17, 18, 21]);
  },
  (m) => void m.opsetImport.splice(0),
  (m, _g, random) => {
    m.irVersion = pick(random, ABSURD);
  },
];

/** One damaged file from whole ones. */
export function damage(files: readonly Uint8Array[], random: Random): Uint8Array {
  const file = pick(random, files);
  const kind = random.below(10);
  if (kind === 0) return file.slice(0, random.below(file.byteLength));
  if (kind <= 2) return flipBytes(file, random);
  const model = decode<ModelProto>(file.slice(), modelSpec);
  for (let i = [1, 1, 1, 2, 2, 3, 5, 9][random.below(8)]; i > 0; i--) if (model.graph) pick(random, CHANGES)(model, model.graph, random);
  const { chunks, byteLength } = encode(model, modelSpec);
  const bytes = new Uint8Array(byteLength);
  let at = 0;
  for (const c of chunks) {
    bytes.set(c, at);
    at += c.byteLength;
  }
  return kind === 9 ? flipBytes(bytes, random) : bytes;
}

function flipBytes(file: Uint8Array, random: Random): Uint8Array {
  const bytes = file.slice();
  for (let i = 1 + random.below(8); i > 0; i--) {
    // Most of a file is weights; its head and its tail are where structure lies.
    const reach = random.below(2) ? bytes.byteLength : Math.min(bytes.byteLength, 2048);
    const at = random.below(2) ? random.below(reach) : bytes.byteLength - 1 - random.below(reach);
    bytes[at] = pick(random, [0, 255, 127, 128, bytes[at] ^ (1 << random.below(8)), random.below(256)]);
  }
  return bytes;
}
