/**
 * Einsum: sums of products, written as letters for axes ("bij,bjk->bik"). An ellipsis stands for leading axes that broadcast; without
 * "->" the output has the letters that occur once, in alphabetical order (numpy's rules, which ONNX takes over).
 */
import { UserError } from '../errors';
import { attr, type Dim, type Node, type Shape } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { reduceTo, reshapeTo } from './broadcast';
import type { Value } from './builder';
import { freezeAxes, isInitializer, joinAxes, nodeLabel } from './channel-axes';
import type { ChannelContext, CostContext, GradientContext, InferContext, InputGradients, Operator, OutputGradients } from './operator';

interface Equation {
  /** One letter an axis, by input; the ellipsis is spelt out in letters of its own. */
  readonly terms: readonly string[];
  readonly output: string;
  /** Letters of the ellipsis: only these broadcast. */
  readonly ellipsis: string;
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const HINT = 'The file is damaged, or was written by a faulty exporter.';

/** @throws UserError where the equation does not fit the inputs */
function equationOf(node: Node, ranks: readonly number[]): Equation {
  const text = attr.string(node, 'equation', '').replaceAll(' ', '');
  const [left, right] = text.split('->');
  const written = left.split(',');
  if (written.length !== ranks.length)
    throw new UserError(`has the equation "${text}" of ${written.length} terms for ${ranks.length} inputs`, HINT);
  const spare = [...LETTERS].filter((letter) => !text.includes(letter));
  const widths = written.map((term, i) => (term.includes('...') ? ranks[i] - (term.length - 3) : 0));
  const widest = Math.max(0, ...widths);
  const ellipsis = spare.slice(0, widest).join('');
  const terms = written.map((term, i) => {
    const full = term.replace('...', ellipsis.slice(widest - widths[i]));
    if (full.length !== ranks[i] || widths[i] < 0 || [...full].some((letter) => !LETTERS.includes(letter)))
      throw new UserError(`has the equation "${text}", whose term "${term}" does not fit an input of ${ranks[i]} axes`, HINT);
    return full;
  });
  const once = [...new Set(left.replace(/[^A-Za-z]/g, ''))].filter((letter) => left.split(letter).length === 2).sort();
  const output = right === undefined ? ellipsis + once.join('') : right.replace('...', ellipsis);
  const known = new Set(terms.join(''));
  for (const letter of output)
    if (!known.has(letter)) throw new UserError(`has the equation "${text}", whose output "${letter}" no input has`, HINT);
  return { terms, output, ellipsis };
}

/** Length of each letter's axis. @throws UserError where inputs contradict each other */
function lengthsOf({ terms, ellipsis }: Equation, shapes: readonly Shape[]): Map<string, Dim> {
  const lengths = new Map<string, Dim>();
  terms.forEach((term, i) => {
    [...term].forEach((letter, axis) => {
      const d = shapes[i][axis];
      const before = lengths.get(letter);
      if (before === undefined || (before === 1 && ellipsis.includes(letter))) lengths.set(letter, d);
      else if (typeof d === 'number' && typeof before === 'number') {
        if (d !== before && !(d === 1 && ellipsis.includes(letter)))
          throw new UserError(`gives the axis "${letter}" the lengths ${before} and ${d}`, HINT);
      } else if (typeof d === 'number') lengths.set(letter, d);
    });
  });
  return lengths;
}

const shapesOf = ({ inputs }: Pick<InferContext, 'inputs'>): Shape[] | undefined =>
  inputs.every((input) => input?.shape) ? inputs.map((input) => input!.shape!) : undefined;

function cost(context: CostContext): number {
  const shapes = shapesOf(context);
  if (!shapes) return 0;
  const equation = equationOf(
    context.node,
    shapes.map((s) => s.length),
  );
  // A transposition or a plain sum multiplies nothing.
  if (shapes.length < 2) return 0;
  return elementCount([...lengthsOf(equation, shapes).values()].map((d) => (typeof d === 'number' ? d : 1)));
}

function gradient({ b, node, inputs, wants }: GradientContext, [dy]: OutputGradients): InputGradients {
  const values = inputs as readonly Value[];
  if (!dy) return [];
  const shapes = values.map((v) => v.shape);
  const equation = equationOf(
    node,
    shapes.map((s) => s.length),
  );
  const { terms, output, ellipsis } = equation;
  if ([...terms, output].some((term) => new Set(term).size !== term.length))
    throw new UserError(
      `${nodeLabel({ node })} takes diagonals, through which no gradient is known`,
      'Freeze the layers before it, or run without fine-tuning.',
    );
  const lengths = lengthsOf(equation, shapes) as Map<string, number>;
  return values.map((value, i) => {
    if (!wants(i)) return undefined;
    // An axis of length 1 that others stretch is summed at the end, as with any broadcasting.
    const others = values.flatMap((v, j) => (j === i ? [] : [{ value: v, term: terms[j] }]));
    const present = new Set(output + others.map((o) => o.term).join(''));
    const reached = [...terms[i]].filter((letter) => present.has(letter)).join('');
    const full = (term: string): number[] => [...term].map((letter) => lengths.get(letter)!);
    const operands = [{ value: dy, term: output }, ...others].map(({ value: v, term }) => {
      // onnxruntime broadcasts by ellipsis only; the letters here stand for it, so lengths are made whole.
      const stretched = [...term].some((letter, axis) => ellipsis.includes(letter) && v.shape[axis] !== lengths.get(letter));
      return { term, value: stretched ? b.op('Expand', [v, b.ints(full(term))]) : v };
    });
    const sums = b.op(
      'Einsum',
      operands.map((o) => o.value),
      { equation: `${operands.map((o) => o.term).join(',')}->${reached}` },
      { types: [{ type: dy.type, shape: full(reached) }] },
    );
    // Letters that only this input has were summed alone: each element gets the same.
    const open = [...terms[i]].map((letter) => (present.has(letter) ? lengths.get(letter)! : 1));
    const whole = full(terms[i]);
    const spread = reshapeTo(b, sums, open);
    const stretched = open.every((d, axis) => d === whole[axis]) ? spread : b.op('Expand', [spread, b.ints(whole)]);
    return reduceTo(b, stretched, value.shape);
  });
}

/** Axes with one letter lose the same channels. Weights consume the letters that are summed over, and produce those they alone bring. */
function channels(context: ChannelContext): void {
  const shapes = shapesOf(context);
  if (!shapes) {
    context.inputs.forEach((_, input) => {
      freezeAxes(context, 'combines values whose shapes are not known', undefined, input);
    });
    return;
  }
  const { terms, output, ellipsis } = equationOf(
    context.node,
    shapes.map((s) => s.length),
  );
  const lengths = lengthsOf({ terms, output, ellipsis }, shapes);
  for (const letter of lengths.keys()) {
    const members = terms.flatMap((term, input) =>
      [...term].flatMap((l, axis) =>
        // An axis of length 1 that others stretch carries nothing.
        l === letter && !(ellipsis.includes(letter) && shapes[input][axis] === 1 && lengths.get(letter) !== 1) ? [{ input, axis }] : [],
      ),
    );
    const weights = members.filter((m) => isInitializer(context, m.input));
    const at = output.indexOf(letter);
    const alone = weights.length === members.length;
    if (at >= 0) {
      const atoms = alone ? context.atoms(members[0].input, members[0].axis) : joinAxes(context, members);
      if (alone && atoms) {
        for (const { input, axis } of weights) {
          const own = context.atoms(input, axis);
          if (own && own !== atoms) context.couple(atoms, own);
          context.role(input, axis, 'producer');
        }
      }
      context.setOutput(0, at, atoms);
      continue;
    }
    const atoms = alone ? null : joinAxes(context, members);
    for (const { input, axis } of weights) {
      if (alone) context.freeze(context.atoms(input, axis), `${nodeLabel(context)} sums over them`);
      context.role(input, axis, 'consumer');
    }
    // Where no weight is summed over, there is nothing whose channels could be left out alone.
    if (weights.length === 0) context.freeze(atoms, `${nodeLabel(context)} sums over them without a weight`);
  }
}

/** Axes of the node's inputs that are summed over, one for each letter: what `cost` counts beside the output's own axes. */
export function summedAxes(node: Node, shapes: readonly Shape[]): Array<{ readonly input: number; readonly axis: number }> {
  const { terms, output } = equationOf(
    node,
    shapes.map((s) => s.length),
  );
  return [...new Set(terms.join(''))].flatMap((letter) => {
    if (output.includes(letter)) return [];
    const input = terms.findIndex((term) => term.includes(letter));
    return [{ input, axis: terms[input].indexOf(letter) }];
  });
}

export const einsums: readonly Operator[] = [
  {
    opTypes: ['Einsum'],
    infer(context) {
      const type = context.inputs[0]?.type ?? 'float32';
      const shapes = shapesOf(context);
      if (!shapes) return [{ type }];
      const equation = equationOf(
        context.node,
        shapes.map((s) => s.length),
      );
      const lengths = lengthsOf(equation, shapes);
      return [{ type, shape: [...equation.output].map((letter) => lengths.get(letter)!) }];
    },
    cost,
    gradient,
    channels,
  },
];
