/**
 * Where the weights of a pruned tensor lie, as steps from one to the next (Han, Mao, Dally 2016, "Deep Compression", section 2): a symbol of
 * b bits says how many zeros lie between; its largest value, 2^b − 1, says that so many zeros follow and no weight yet. (The paper instead
 * writes a weight of value zero there, which takes an entry of the code book.)
 */
import { UserError } from '../errors';

/** Symbols for the places where a tensor is not zero; what lies behind the last is zero. @param bits 1 to 16 */
export function gapSymbols(values: Float32Array, bits: number): Uint32Array {
  const most = 2 ** bits - 1;
  const symbols: number[] = [];
  let zeros = 0;
  for (const v of values) {
    if (v === 0) {
      zeros++;
      continue;
    }
    for (; zeros >= most; zeros -= most) symbols.push(most);
    symbols.push(zeros);
    zeros = 0;
  }
  return Uint32Array.from(symbols);
}

/** Places of the weights. @throws UserError where one would lie behind the end */
export function positionsOf(symbols: ArrayLike<number>, bits: number, size: number): Uint32Array {
  const most = 2 ** bits - 1;
  const positions: number[] = [];
  let at = 0;
  for (let i = 0; i < symbols.length; i++) {
    at += symbols[i];
    if (symbols[i] === most) continue;
    if (at >= size) throw new UserError('the coded weights do not fit their tensor: the file is damaged', 'Write it again.');
    positions.push(at++);
  }
  return Uint32Array.from(positions);
}
