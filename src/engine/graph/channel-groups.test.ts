import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { topologies } from '../../../test/topologies';
import { loadModel } from '../onnx/file';
import { type Model, makeNode, withGraph } from '../onnx/model';
import { GraphBuilder, type Value } from '../ops/builder';
import { findChannelGroups } from './channel-groups';

const named = (name: string): Model => topologies().find((t) => t.name === name)!.model;
const group = (model: Model, id: string) => findChannelGroups(model).groups.find((g) => g.id === id)!;

/** The model with a node put between a value and its readers. */
function withNode(model: Model, opType: string, value: string, domain = ''): Model {
  const nodes = model.graph.nodes.flatMap((n) => {
    const moved = { ...n, inputs: n.inputs.map((i) => (i === value ? `${value}.passed` : i)) };
    return n.outputs.includes(value) ? [n, makeNode(opType, [value], [`${value}.passed`], {}, { name: 'x', domain })] : [moved];
  });
  return withGraph(model, { nodes });
}

const UNKNOWN = 'takes them to lengths that are not known before the model runs; export it with fixed lengths to have them followed';

describe('findChannelGroups', () => {
  it('explains a residual stream', () => {
    expect(group(named('residual'), 'stem').explain()).toBe(
      "stem out, bn0, a in, b out, b.bn, b.add, c in, d out, d.bn, d.add, fc in: coupled by Add 'b.add', Add 'd.add'",
    );
    expect(group(named('residual'), 'stem').explain(2)).toBe("stem out, bn0 and 9 more: coupled by Add 'b.add', Add 'd.add'");
  });

  it('maps a channel to the columns it was flattened into', () => {
    const [fc] = group(named('plain'), 'conv2').consumers;
    expect(fc).toMatchObject({ layers: ['fc1'], tensor: 'fc1.weight', axis: 1, length: 96 });
    expect(fc.positions[1]).toEqual([16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31]);
    const [last] = group(named('channels last flatten'), 'conv1').consumers;
    expect(last.positions[3]).toEqual(Array.from({ length: 16 }, (_, i) => 8 * i + 3));
  });

  it('gives a channel of a grouped convolution a position in each group', () => {
    const g = group(named('grouped'), 'grouped');
    expect(g.producers[0].positions).toEqual([
      [0, 3, 6, 9],
      [1, 4, 7, 10],
      [2, 5, 8, 11],
    ]);
    expect(g.couplings).toEqual(["Conv 'grouped'"]);
  });

  it('splits a zero-padded stream by what its channels pass', () => {
    const { groups } = findChannelGroups(named('residual option A'));
    const wide = groups.find((g) => g.id === 'b')!;
    // The padding's first four and last four channels; the eight between are the stem's.
    expect(wide.producers[0].positions.map(([p]) => p)).toEqual([0, 1, 2, 3, 12, 13, 14, 15]);
    expect(groups.find((g) => g.id === 'stem')!.producers.map((p) => p.tensor)).toEqual(['stem.weight', 'b.weight', 'd.weight']);
  });

  it('gives the positions of channels in every value', () => {
    const a = group(named('dense'), 'a');
    expect(a.values.find((v) => v.value === 'concat2')).toMatchObject({ axis: 1, length: 14, positions: [[6], [7], [8], [9]] });
    expect(a.widths).toEqual([4, 3, 2, 1]);
  });

  it('lets groups between convolutions keep parts of a block, and those that other layers read multiples of 8', () => {
    const b = new GraphBuilder();
    const weight = (name: string, dims: readonly number[]) => b.floats(name, dims, new Float32Array(dims.reduce((a, d) => a * d, 1)));
    const conv = (x: Value, name: string, dims: readonly number[], group = 1): Value =>
      b.op('Conv', [x, weight(`${name}.weight`, dims)], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], group }, { name });
    const x = b.input('input', ['N', 3, 8, 8]);
    const between = b.op('Relu', [conv(x, 'between', [16, 3, 3, 3])]);
    const before = b.op('Relu', [conv(between, 'before', [16, 16, 3, 3])]);
    const depthwise = b.op('Relu', [conv(before, 'depthwise', [16, 1, 3, 3], 16)]);
    const last = b.op('GlobalAveragePool', [conv(depthwise, 'last', [32, 16, 3, 3])]);
    b.output(b.op('Gemm', [b.op('Flatten', [last], { axis: 1 }), weight('fc.weight', [5, 32])], { transB: 1 }, { name: 'fc' }), 'scores', [
      'N',
      5,
    ]);
    const { groups } = findChannelGroups(b.build('blocks'));
    expect(groups.map((g) => [g.id, g.widths])).toEqual([
      ['between', [16, 12, 8, 4]],
      ['before', [16, 8]],
      ['last', [32, 24, 16, 8]],
    ]);
  });

  it('freezes what passes an operator that is not known, and says so', () => {
    const { groups, frozen } = findChannelGroups(withNode(named('plain'), 'Strange', 'relu3', 'other'));
    expect(groups.map((g) => g.id)).toEqual(['conv1', 'conv2']);
    expect(frozen).toEqual([
      { id: 'fc1', channels: 12, layers: ['fc1'], reason: "passes `Strange` at node 'x', which Espalier does not know" },
      { id: 'fc2', channels: 5, layers: ['fc2'], reason: "is the model output 'fc2'" },
    ]);
  });

  it('names the operator behind which shapes are not known', () => {
    const { groups, frozen } = findChannelGroups(withNode(named('plain'), 'Strange', 'relu1', 'other'));
    expect(groups.map((g) => g.id)).toEqual(['fc1']);
    expect(frozen.map((f) => [f.id, f.reason])).toEqual([
      ['conv1', "passes `Strange` at node 'x', which Espalier does not know"],
      ['conv2', "passes `Relu` at node 'relu2', where shapes are not known because of `Strange` at node 'x' before it"],
      ['fc2', "is the model output 'fc2'"],
    ]);
  });

  it('freezes a stream that the model input is added to', () => {
    const base = named('plain');
    const nodes = base.graph.nodes.map((n) => (n.name === 'relu2' ? makeNode('Add', ['conv2', 'side'], ['relu2']) : n));
    const model = withGraph(base, { nodes, inputs: [...base.graph.inputs, { name: 'side', type: 'float32', shape: ['N', 6, 4, 4] }] });
    const { groups, frozen } = findChannelGroups(model);
    expect(groups.map((g) => g.id)).toEqual(['conv1', 'fc1']);
    expect(frozen[0]).toMatchObject({
      id: 'conv2',
      channels: 6,
      reason: "is combined with the model input 'side', whose lengths are given",
    });
  });

  it('names what couples queries, keys and values', () => {
    expect(group(named('transformer'), 'q').explain()).toBe(
      "q out, q.add, k out, k.add, v out, v.add, attention.scores, attention.mixed, out in: coupled by MatMul 'attention.scores', MatMul 'attention.mixed'",
    );
  });

  it('freezes what a Reshape moves to a shape that depends on data, and what follows by what it then meets', () => {
    const base = named('plain');
    const nodes = base.graph.nodes.flatMap((n) => {
      if (n.name === 'conv2')
        return [makeNode('Reshape', ['maxpool', 'target'], ['moved']), { ...n, inputs: ['moved', ...n.inputs.slice(1)] }];
      return [n];
    });
    const model = withGraph(base, { nodes, inputs: [...base.graph.inputs, { name: 'target', type: 'int64', shape: [4] }] });
    const { groups, frozen } = findChannelGroups(model);
    expect(groups.map((g) => g.id)).toEqual(['fc1']);
    expect(Object.fromEntries(frozen.map((f) => [f.id, f.reason]))).toEqual({
      conv1: `Reshape 'moved' ${UNKNOWN}`,
      conv2: `Flatten 'flat' ${UNKNOWN}`,
      fc2: "is the model output 'fc2'",
    });
  });

  it('freezes a weight that a node reads as a whole', () => {
    const base = named('plain');
    const model = withGraph(base, {
      nodes: [...base.graph.nodes, makeNode('Strange', ['conv2.weight'], ['other'], {}, { name: 'tap', domain: 'other' })],
      outputs: [...base.graph.outputs, { name: 'other', type: 'float32' }],
    });
    const { frozen } = findChannelGroups(model);
    expect(frozen.map((f) => f.id)).toEqual(['conv1', 'conv2', 'fc2']);
    expect(frozen[0].reason).toContain("shares weight 'conv2.weight' with `Strange` at node 'tap'");
  });

  it('gives the same groups each time', () => {
    for (const t of topologies()) expect(findChannelGroups(t.model)).toEqual(findChannelGroups(t.model));
  });
});

const data = process.env['ESPALIER_DATA'];
describe('on real files (needs ESPALIER_DATA)', () => {
  const load = (file: string): Model => loadModel(join(data!, 'models', file));
  const present = (file: string): boolean => data !== undefined && existsSync(join(data, 'models', file));

  it.skipIf(!present('cifar10_resnet20.onnx'))('ResNet-20 has three stream groups and one a block', () => {
    const { groups, frozen } = findChannelGroups(load('cifar10_resnet20.onnx'));
    const [narrow, medium, wide] = [
      [16, 12, 8, 4],
      [32, 16, 8],
      [64, 48, 32, 16, 8],
    ];
    expect(groups.map((g) => [g.id, g.widths])).toEqual([
      // Streams lie in parts of the widths of the stages behind.
      ['conv1', [16, 8]],
      ...[0, 1, 2].map((i) => [`layer1.${i}.conv1`, narrow]),
      ['layer2.0.conv1', medium],
      ['layer2.0.conv2', [16, 8]],
      ...[1, 2].map((i) => [`layer2.${i}.conv1`, medium]),
      ['layer3.0.conv1', wide],
      ['layer3.0.conv2', [32, 24, 16, 8]],
      ...[1, 2].map((i) => [`layer3.${i}.conv1`, wide]),
    ]);
    expect(frozen).toEqual([{ id: 'linear', channels: 10, layers: ['linear'], reason: "is the model output 'logits'" }]);
  });

  it.skipIf(!present('cifar10_mlperftiny_resnet8_bn.onnx'))('ResNet-8 with 1×1 shortcuts has a stream a stage', () => {
    const { groups } = findChannelGroups(load('cifar10_mlperftiny_resnet8_bn.onnx'));
    expect(groups.map((g) => [g.id, g.channels])).toEqual([
      ['conv2d', 16],
      ['conv2d_1', 16],
      ['conv2d_3', 32],
      ['conv2d_4', 32],
      ['conv2d_6', 64],
      ['conv2d_7', 64],
    ]);
  });

  it.skipIf(!present('imagenet_mobilenetv2_1.0_224_qat.onnx'))('MobileNetV2 couples depthwise kernels with the layer before', () => {
    const { groups, frozen } = findChannelGroups(load('imagenet_mobilenetv2_1.0_224_qat.onnx'));
    expect(frozen).toHaveLength(1);
    const first = groups.find((g) => g.id === 'conv_3')!;
    expect(first.channels).toBe(96);
    expect(first.parameters.map((p) => p.tensor)).toContain('dwconv_2.weight');
  });
});
