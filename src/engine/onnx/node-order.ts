/** The order of nodes: every value is made before it is used. */
import { UserError } from '../errors';
import { capturedNames, DAMAGED, hasSubgraph, labelOf, type Node } from './model';

/**
 * Topological order (Kahn), stable: nodes that are already in order keep it.
 * @param given values that are there without a node: inputs and initializers
 * @throws UserError naming the node: a value made twice, used but never made, or needed to make itself; a node without outputs
 */
export function sortNodes(nodes: readonly Node[], given: Iterable<string>): Node[] {
  const ready = new Set<string>(['', ...given]);
  /** Place of the node that makes a value. */
  const producer = new Map<string, number>();
  nodes.forEach((n, place) => {
    if (n.opType === '') throw new UserError(`node '${labelOf(n)}' names no operator`, DAMAGED);
    if (n.outputs.every((o) => o === '')) throw new UserError(`node '${labelOf(n)}' (${n.opType}) has no output`, DAMAGED);
    for (const o of n.outputs) {
      if (o === '') continue;
      if (producer.has(o) || ready.has(o))
        throw new UserError(`value '${o}' is produced twice (second time by node '${labelOf(n)}')`, DAMAGED);
      producer.set(o, place);
    }
  });
  const missing = new Int32Array(nodes.length);
  const waiting = new Map<string, number[]>();
  nodes.forEach((n, place) => {
    const wanted = hasSubgraph(n) ? [...n.inputs, ...capturedNames(n)] : n.inputs;
    const open = new Set(wanted.filter((i) => !ready.has(i)));
    for (const i of open) {
      if (!producer.has(i)) throw new UserError(`node '${labelOf(n)}' (${n.opType}) uses '${i}', which nothing produces`, DAMAGED);
      const list = waiting.get(i);
      if (list) list.push(place);
      else waiting.set(i, [place]);
    }
    missing[place] = open.size;
  });
  const out: Node[] = [];
  // In-order files are the rule: walk in file order, and catch up on what becomes ready late.
  let cursor = 0;
  const late: number[] = [];
  const emit = (place: number): void => {
    out.push(nodes[place]);
    for (const o of nodes[place].outputs) {
      if (o === '') continue;
      for (const w of waiting.get(o) ?? []) if (--missing[w] === 0 && w < cursor) late.push(w);
    }
  };
  for (let caughtUp = 0; cursor < nodes.length; cursor++) {
    if (missing[cursor] === 0) emit(cursor);
    while (caughtUp < late.length) emit(late[caughtUp++]);
  }
  if (out.length < nodes.length) {
    const stuck = onCycle(nodes, missing, producer);
    throw new UserError(`the graph has a cycle through node '${labelOf(stuck)}' (${stuck.opType})`, DAMAGED);
  }
  return out;
}

/** A node on a cycle: going back from any node that never became ready, along what it waits for, one comes by some node twice. */
function onCycle(nodes: readonly Node[], missing: Int32Array, producer: ReadonlyMap<string, number>): Node {
  const seen = new Set<number>();
  let place = missing.findIndex((m) => m > 0);
  while (!seen.has(place)) {
    seen.add(place);
    const wanted = [...nodes[place].inputs, ...capturedNames(nodes[place])];
    place = wanted.map((i) => producer.get(i)).find((p) => p !== undefined && missing[p] > 0)!;
  }
  return nodes[place];
}
