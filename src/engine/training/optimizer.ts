/**
 * One step of a parameter. Stochastic gradient descent with momentum as PyTorch defines it (torch.optim.SGD, no dampening, no Nesterov):
 * v ← μ·v + (g + λ·w), w ← w − lr·v. Emitted on flat parameters: elementwise operators with a scalar are 20–50 times slower on
 * [O, I, 1, 1] than on one axis. Kernels of convolutions may take Muon's steps instead (see `muon.ts`).
 */
import type { GraphBuilder, Value } from '../ops/builder';
import { emit } from './emit';
import { emitMuonStep } from './muon';

export interface OptimizerOptions {
  /** μ in [0, 1); default 0.9. */
  readonly momentum?: number;
  /** λ ≥ 0; default 0. */
  readonly weightDecay?: number;
  /** Whether biases and normalisation parameters (tensors of one axis) decay as well, as in PyTorch; default true. */
  readonly decayBiases?: boolean;
  /** Kernels of convolutions take Muon's steps: they move by this times the learning rate of their norm, and do not decay. Absent: as all else. */
  readonly muon?: { readonly relativeStep: number };
}

export interface ParameterStep {
  /** All flat. */
  readonly weight: Value;
  readonly velocity: Value;
  readonly gradient: Value;
  /** 0 where a weight is held at zero. */
  readonly mask?: Value;
  readonly decays: boolean;
  /** Where the parameter may take Muon's steps: as a matrix, [filters, inputs · kernel]. */
  readonly matrix?: readonly [number, number];
}

export function emitStep(
  b: GraphBuilder,
  { weight, velocity, gradient, mask, decays, matrix }: ParameterStep,
  learningRate: Value,
  { momentum = 0.9, weightDecay = 0, muon }: OptimizerOptions,
): { weight: Value; velocity: Value } {
  const op = (type: string, a: Value, c: Value): Value => emit(b, type, [a, c], weight.shape);
  const held = (moved: Value): Value => (mask ? op('Mul', moved, mask) : moved);
  if (muon && matrix) {
    const rate = emit(b, 'Mul', [learningRate, b.scalar(muon.relativeStep)], []);
    const next = emitMuonStep(b, { weight, velocity, gradient }, matrix, rate, momentum);
    return { weight: held(next.weight), velocity: next.velocity };
  }
  const pull = decays && weightDecay !== 0 ? op('Add', gradient, op('Mul', weight, b.scalar(weightDecay))) : gradient;
  const next = op('Add', op('Mul', velocity, b.scalar(momentum)), pull);
  const moved = op('Sub', weight, op('Mul', next, learningRate));
  return { weight: held(moved), velocity: next };
}
