/**
 * Attention as one node: softmax(scale · Q · Kᵀ + mask) · V over heads (Vaswani et al. 2017, section 3.2).
 * onnxruntime's Attention (projections of queries, keys and values inside) and MultiHeadAttention, and the standard's Attention.
 * Whole heads are what can be removed: a head's columns of queries, keys and values go together with its columns of the result.
 */
import { multiHead } from './attention-multi-head';
import { projecting } from './attention-projecting';
import { standard } from './attention-standard';
import type { Operator } from './operator';

export const attentions: readonly Operator[] = [projecting, multiHead, standard];
