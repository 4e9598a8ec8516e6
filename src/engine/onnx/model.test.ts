import { describe, expect, it } from 'vitest';
import { normalize } from '../graph/passes/normalize';
import { modelBytes, parseModel } from './file';
import { attr, capturedNames, type Model, makeNode, type Node, withGraph } from './model';
import { modelToProto } from './model-proto';
import { sortNodes } from './node-order';
import { type AttributeProto, AttributeType, type GraphProto } from './schema';
import { Tensor } from './tensor';

const weight = (name = 'w'): Tensor => Tensor.float32(name, [2], Float32Array.of(1, 2));

function modelOf(nodes: readonly Node[], output = nodes.at(-1)!.outputs[0], irVersion = 8): Model {
  return {
    graph: {
      name: 'g',
      nodes,
      inputs: [{ name: 'x', type: 'float32', shape: [2] }],
      outputs: [{ name: output, type: 'float32', shape: [2] }],
      initializers: new Map([['w', weight()]]),
    },
    opsets: new Map([['', 17]]),
    irVersion,
    metadata: new Map([['key', 'value']]),
    header: { producerName: 'test' },
  };
}

const again = (m: Model): Model => parseModel(modelBytes(m));
const names = (m: Model): string[] => m.graph.nodes.map((n) => n.name);

const body = (name: string, nodes: readonly Node[], output: string): GraphProto => {
  const { graph } = modelToProto(modelOf(nodes, output));
  return { ...graph!, name, input: [], initializer: [] };
};
const withBodies = (node: Node, bodies: Readonly<Record<string, GraphProto>>): Node => {
  const attributes = Object.entries(bodies).map(([name, g]): [string, AttributeProto] => [
    name,
    { name, type: AttributeType.GRAPH, g, strings: [], tensors: [], graphs: [] },
  ]);
  return { ...node, attributes: new Map(attributes) };
};

describe('a graph', () => {
  it('comes back as it was written', () => {
    const m = modelOf([makeNode('Add', ['x', 'w'], ['a'], { k: [1, 2], f: { float: 0.5 }, s: 'text' }), makeNode('Relu', ['a'], ['b'])]);
    const { graph, ...rest } = again(m);
    expect(rest).toEqual({ opsets: m.opsets, irVersion: 8, metadata: m.metadata, header: m.header });
    expect(graph.nodes).toEqual(m.graph.nodes);
    expect(graph.inputs.map(({ name, type, shape }) => ({ name, type, shape }))).toEqual(m.graph.inputs);
    expect(graph.initializers.get('w')!.numbers()).toEqual([1, 2]);
  });

  it('is sorted, and keeps the order of what is sorted already', () => {
    const nodes = [
      makeNode('Relu', ['c'], ['d']),
      makeNode('Relu', ['x'], ['a']),
      makeNode('Relu', ['b'], ['c']),
      makeNode('Relu', ['x'], ['other']),
      makeNode('Relu', ['a'], ['b']),
    ];
    expect(names(again(modelOf(nodes, 'd')))).toEqual(['a', 'other', 'b', 'c', 'd']);
  });

  it('lists initializers as inputs before IR version 4, and reads them as no inputs', () => {
    const m = modelOf([makeNode('Add', ['x', 'w'], ['a'])], 'a', 3);
    expect(modelToProto(m).graph!.input.map((i) => i.name)).toEqual(['x', 'w']);
    expect(again(m).graph.inputs.map((i) => i.name)).toEqual(['x']);
    expect(modelToProto({ ...m, irVersion: 4 }).graph!.input.map((i) => i.name)).toEqual(['x']);
  });

  it('keeps stated shapes of values that are still there', () => {
    const m = modelOf([makeNode('Add', ['x', 'w'], ['a']), makeNode('Relu', ['a'], ['b'])]);
    const stated = (name: string) => [name, { name, type: 'float32', shape: [2] }] as const;
    const { valueInfo } = again(withGraph(m, { valueInfo: new Map([stated('a'), stated('gone')]) })).graph;
    expect([...valueInfo!.keys()]).toEqual(['a']);
  });

  it('sorts 50,000 nodes in reverse order by looking at each a few times', () => {
    const n = 50_000;
    let looks = 0;
    const nodes = Array.from({ length: n }, (_, i) => {
      const node = makeNode('Relu', [i === 0 ? 'x' : `v${i - 1}`], [`v${i}`]);
      const look = <T>(value: T): T => {
        looks++;
        return value;
      };
      return Object.defineProperties(node, {
        inputs: { get: () => look([i === 0 ? 'x' : `v${i - 1}`]) },
        outputs: { get: () => look([`v${i}`]) },
      });
    }).reverse();
    const sorted = sortNodes(nodes, ['x']);
    expect(looks).toBeLessThan(10 * n);
    expect(sorted.map((node) => node.outputs[0])).toEqual(Array.from({ length: n }, (_, i) => `v${i}`));
  });
});

describe('faults of a graph are named', () => {
  const add = (a: string, b: string, out: string): Node => makeNode('Add', [a, b], [out], {}, { name: `node ${out}` });
  it.each<[string, () => Model, RegExp]>([
    [
      'a value made twice',
      () => modelOf([add('x', 'w', 'a'), add('x', 'x', 'a')]),
      /^value 'a' is produced twice \(second time by node 'node a'\)$/,
    ],
    ['an input made again', () => modelOf([add('x', 'w', 'x')]), /^value 'x' is produced twice/],
    ['a value nobody makes', () => modelOf([add('x', 'nothing', 'a')]), /^node 'node a' \(Add\) uses 'nothing', which nothing produces$/],
    [
      'a cycle, not what hangs on it',
      () => modelOf([add('b', 'x', 'after'), add('x', 'b', 'a'), add('a', 'x', 'b')], 'after'),
      /^the graph has a cycle through node 'node [ab]' \(Add\)$/,
    ],
    ['an output nobody makes', () => modelOf([add('x', 'w', 'a')], 'missing'), /^nothing produces the graph's output 'missing'$/],
    [
      'a node without outputs',
      () => modelOf([makeNode('Relu', ['x'], [''], {}, { name: 'mute' })], 'x'),
      /^node 'mute' \(Relu\) has no output$/,
    ],
    ['a node without operator', () => modelOf([makeNode('', ['x'], ['a'])]), /^node 'a' names no operator$/],
    [
      'two inputs of one name',
      () => withGraph(modelOf([add('x', 'w', 'a')]), { inputs: ['x', 'x'].map((name) => ({ name, type: 'float32' as const })) }),
      /^the graph has two inputs named 'x'$/,
    ],
    [
      'two tensors of one name',
      () => withGraph(modelOf([add('x', 'w', 'a')]), { initializers: new Map(['w', 'v'].map((k) => [k, weight()])) }),
      /^tensor 'w' is there twice$/,
    ],
    [
      'an absurd operator set',
      () => ({ ...modelOf([add('x', 'w', 'a')]), opsets: new Map([['', -4]]) }),
      /impossible version -4 of operator set 'ai.onnx'/,
    ],
  ])('%s', (_, make, sentence) => {
    const bytes = modelBytes(make());
    expect(() => parseModel(bytes)).toThrow(sentence);
  });

  it('takes names that objects have anyway', () => {
    const odd = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
    const nodes = odd.map((o, i) => makeNode('Relu', [i === 0 ? 'x' : odd[i - 1]], [o]));
    expect(names(normalize(again(modelOf(nodes))).model)).toEqual(odd);
  });
});

describe('subgraphs', () => {
  const choice = withBodies(makeNode('If', ['yes'], ['z'], {}, { name: 'choice' }), {
    then_branch: body('t', [makeNode('Relu', ['late'], ['t_in']), makeNode('Add', ['t_in', 'w'], ['t_out'])], 't_out'),
    else_branch: body('e', [makeNode('Identity', ['x'], ['e_out'])], 'e_out'),
  });
  const yes = makeNode('Constant', [], ['yes'], { value: new Tensor('', 'bool', [], Uint8Array.of(1)) });
  const late = makeNode('Sub', ['x', 'w'], ['late']);
  const m = modelOf([choice, yes, late], 'z');

  it('name what they take from outside', () => {
    expect(capturedNames(choice).sort()).toEqual(['late', 'w', 'x']);
  });

  it('come after the values they take, and are written back', () => {
    const read = again(m);
    expect(names(read)).toEqual(['yes', 'late', 'choice']);
    const [branch] = [...read.graph.nodes[2].attributes.values()];
    expect(branch.g!.node.map((n) => [n.opType, n.input, n.output])).toEqual([
      ['Relu', ['late'], ['t_in']],
      ['Add', ['t_in', 'w'], ['t_out']],
    ]);
    expect(modelBytes(read)).toEqual(modelBytes(again(read)));
  });

  it('keep what they take from being removed as dead', () => {
    const { graph } = normalize(again(m)).model;
    expect(graph.nodes.map((n) => n.name)).toContain('late');
    expect([...graph.initializers.keys()]).toContain('w');
  });

  it('of loops keep their own inputs apart from outer values', () => {
    const inner = body('b', [makeNode('Add', ['state', 'w'], ['next'])], 'next');
    const loop = withBodies(makeNode('Loop', ['count', '', 'x'], ['z']), {
      body: { ...inner, input: [{ name: 'i' }, { name: 'c' }, { name: 'state' }] },
    });
    expect(capturedNames(loop)).toEqual(['w']);
    const nested = withBodies(makeNode('Scan', ['x'], ['z']), { body: body('outer', [{ ...loop, outputs: ['deep'] }], 'deep') });
    expect(capturedNames(nested).sort()).toEqual(['count', 'w', 'x']);
  });
});

describe('attributes', () => {
  const node = (a: Partial<AttributeProto>): Node => ({
    ...makeNode('Odd', ['x'], ['y'], {}, { name: 'odd' }),
    attributes: new Map([['a', { name: 'a', strings: [], tensors: [], graphs: [], ...a }]]),
  });

  it('of another type are named', () => {
    expect(() => attr.int(node({ type: AttributeType.FLOAT, f: 1 }), 'a', 0)).toThrow(
      "attribute 'a' of node 'odd' (Odd) is of type FLOAT where INT belongs",
    );
    expect(() => attr.tensor(node({ type: AttributeType.STRING }), 'a')).toThrow(/of type STRING where TENSOR belongs/);
  });

  it('whose value is left out hold zero or nothing, as the newer syntax writes them', () => {
    expect(attr.int(node({ type: AttributeType.INT }), 'a', 7)).toBe(0);
    expect(attr.float(node({ type: AttributeType.FLOAT }), 'a', 7)).toBe(0);
    expect(attr.ints(node({ type: AttributeType.INTS }), 'a')).toEqual([]);
    expect(attr.string(node({ type: AttributeType.STRING }), 'a', 'x')).toBe('');
    expect(attr.int(makeNode('Odd', [], ['y']), 'a', 7)).toBe(7);
  });

  it('without a type, as the oldest files have them, are read by their values', () => {
    expect(attr.int(node({ i: 3 }), 'a', 7)).toBe(3);
    expect(attr.ints(node({ ints: [1, 2n ** 40n] }), 'a')).toEqual([1, 2 ** 40]);
  });
});
