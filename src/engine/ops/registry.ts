/** All operators Espalier knows: one line a family. */
import { activations } from './activations';
import { arithmetic } from './arithmetic';
import { attentions } from './attention';
import { batchNormalization } from './batch-normalization';
import { bits } from './bits';
import { casts } from './cast';
import { joins } from './concat';
import { constants } from './constants';
import { conv } from './conv';
import { convTranspose } from './conv-transpose';
import { cumulatives } from './cumulative';
import { detections } from './detection';
import { einsums } from './einsum';
import { expansions } from './expand';
import { gathers } from './gather';
import { gemm } from './gemm';
import { gru } from './gru';
import { imageSampling } from './image-sampling';
import { instanceNormalizations } from './instance-normalization';
import { layerNormalizations } from './layer-normalization';
import { losses } from './losses';
import { lstm } from './lstm';
import { matmul } from './matmul';
import type { Operator } from './operator';
import { pads } from './pad';
import { pooling } from './pooling';
import { quantized } from './quantized';
import { randomValues } from './random-values';
import { reductions } from './reduce';
import { resamplers } from './resample';
import { reshapes } from './reshape';
import { responseNormalizations } from './response-normalization';
import { rnn } from './rnn';
import { placements } from './scatter';
import { signals } from './signal';
import { slices } from './slice';
import { smoothActivations } from './smooth-activations';
import { softmaxes } from './softmax';
import { transposes } from './transpose';
import { trigonometry } from './trigonometry';

const families: readonly Operator[] = [
  ...activations,
  ...smoothActivations,
  ...trigonometry,
  batchNormalization,
  ...instanceNormalizations,
  ...layerNormalizations,
  ...responseNormalizations,
  conv,
  convTranspose,
  gemm,
  matmul,
  ...einsums,
  ...pooling,
  ...arithmetic,
  ...attentions,
  ...bits,
  ...casts,
  ...joins,
  ...constants,
  ...cumulatives,
  ...detections,
  ...expansions,
  ...gathers,
  ...imageSampling,
  ...losses,
  ...pads,
  ...placements,
  ...quantized,
  ...randomValues,
  ...reductions,
  ...resamplers,
  ...reshapes,
  ...signals,
  ...slices,
  ...softmaxes,
  ...transposes,
  lstm,
  gru,
  rnn,
];

const byName = new Map<string, Operator>();
for (const op of families) for (const t of op.opTypes) byName.set(`${op.domain ?? ''}:${t}`, op);

export const findOperator = (opType: string, domain = ''): Operator | undefined => byName.get(`${domain}:${opType}`);
export const knownOperators = (): ReadonlyMap<string, Operator> => byName;
