import { describe, expect, it } from 'vitest';
import { type Model, makeNode, type Shape, type ValueInfo, withGraph } from '../onnx/model';
import { GraphBuilder } from '../ops/builder';
import { inferTypes, keepNeededValueInfo } from './infer';
import { normalize } from './passes/normalize';

/** Relu → an operator nobody knows → Relu, with stated shapes. */
function behindUnknown(stated: Readonly<Record<string, Shape>>, batch: number | string = 'N'): Model {
  const b = new GraphBuilder();
  const x = b.input('x', [batch, 3, 4, 4]);
  const odd = b.op('Odd', [b.op('Relu', [x], {}, { name: 'before' })], {}, { domain: 'example', name: 'odd', types: [x] });
  b.output(b.op('Relu', [odd], {}, { name: 'after' }), 'y', ['N', 5, 4, 4]);
  const model = b.build();
  const valueInfo = new Map(Object.entries(stated).map(([name, shape]): [string, ValueInfo] => [name, { name, type: 'float32', shape }]));
  return withGraph(model, { valueInfo });
}
const shapeOf = (m: Model, name: string, options = {}): Shape | undefined => inferTypes(m, options).types.get(name)?.shape;

describe('stated shapes', () => {
  it('are taken behind an operator that is not known, with the batch asked for', () => {
    const m = behindUnknown({ odd: ['N', 5, 4, 4] });
    expect(shapeOf(m, 'after')).toEqual(['N', 5, 4, 4]);
    expect(shapeOf(m, 'after', { batch: 7 })).toEqual([7, 5, 4, 4]);
    expect(shapeOf(behindUnknown({}), 'after')).toBeUndefined();
  });

  it('never win over what is inferred', () => {
    expect(shapeOf(behindUnknown({ before: ['N', 99, 4, 4] }), 'before')).toEqual(['N', 3, 4, 4]);
    expect(shapeOf(behindUnknown({ odd: [1, 5, 4, 4], x: [8] }, 1), 'x')).toEqual([1, 3, 4, 4]);
  });

  it('are not taken where the inputs are not those that the file states', () => {
    const m = behindUnknown({ odd: [1, 5, 4, 4] }, 1);
    expect(shapeOf(m, 'odd')).toEqual([1, 5, 4, 4]);
    expect(shapeOf(m, 'odd', { inputShapes: { x: [1, 3, 8, 8] } })).toBeUndefined();
  });

  it('are dropped by normalising, but for those that are needed', () => {
    const m = behindUnknown({ before: ['N', 3, 4, 4], odd: ['N', 5, 4, 4] });
    expect([...normalize(m).model.graph.valueInfo!.keys()]).toEqual(['odd']);
    const plain = withGraph(m, { nodes: [makeNode('Relu', ['x'], ['y'])] });
    expect(keepNeededValueInfo(plain).graph.valueInfo).toBeUndefined();
  });
});

describe('what cannot be is refused with the node named', () => {
  const single = (opType: string, inputs: string[], attributes = {}): Model => {
    const b = new GraphBuilder();
    b.output(b.op('Relu', [b.input('x', [1, 2 ** 20, 2 ** 20, 4])]), 'r');
    const m = b.build();
    const nodes = [makeNode(opType, inputs, ['r'], attributes, { name: 'here' })];
    return withGraph(m, { nodes });
  };
  it.each([
    ['missing inputs', single('Conv', ['x']), /^node 'here' \(Conv\): it lacks its input number 2 of at least 2$/],
    ['no inputs at all', single('Flatten', []), /^node 'here' \(Flatten\): it lacks its input number 1 of at least 1$/],
    ['results no machine holds', single('SpaceToDepth', ['x'], { blocksize: 2 ** 30 }), /^node 'here' \(SpaceToDepth\): /],
    [
      'an attribute of another type',
      single('Softmax', ['x'], { axis: 'one' }),
      /attribute 'axis' of node 'here' \(Softmax\) is of type STRING where INT/,
    ],
  ])('%s', (_, model, sentence) => {
    expect(() => inferTypes(model)).toThrow(sentence);
  });

  it('takes input names that objects have anyway', () => {
    const b = new GraphBuilder();
    b.output(b.op('Relu', [b.input('__proto__', [1, 2])]), 'y');
    expect(shapeOf(b.build(), 'y', { inputShapes: {} })).toEqual([1, 2]);
  });
});
