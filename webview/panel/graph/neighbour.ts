/** Which card the arrow keys lead to. */
import type { GraphItem, VisibleGraph } from './fold';
import type { PlacedGraph } from './place';

/** Down and up follow the edges; left and right go to the nearest card beside. Undefined where there is none. */
export function neighbour(from: GraphItem, key: string, visible: VisibleGraph, placed: PlacedGraph): GraphItem | undefined {
  const box = placed.boxes.get(from.id)!;
  const distance = (id: string): number => {
    const other = placed.boxes.get(id)!;
    const across = other.x + other.width / 2 - box.x - box.width / 2;
    const along = other.y + other.height / 2 - box.y - box.height / 2;
    // What stands level counts as nearer than what is nearer but higher or lower.
    return key === 'ArrowLeft' || key === 'ArrowRight' ? Math.abs(across) + 3 * Math.abs(along) : Math.hypot(across, along);
  };
  let ids: string[];
  if (key === 'ArrowDown') ids = visible.edges.filter((edge) => edge.from === from.id).map((edge) => edge.to);
  else if (key === 'ArrowUp') ids = visible.edges.filter((edge) => edge.to === from.id).map((edge) => edge.from);
  else {
    const sign = key === 'ArrowRight' ? 1 : -1;
    ids = visible.items
      .filter((item) => {
        const other = placed.boxes.get(item.id)!;
        const across = (other.x + other.width / 2 - box.x - box.width / 2) * sign;
        return across > 8 && Math.abs(other.y + other.height / 2 - box.y - box.height / 2) <= across * 2;
      })
      .map((item) => item.id);
  }
  const nearest = ids.sort((a, b) => distance(a) - distance(b))[0];
  return nearest === undefined ? undefined : visible.items.find((item) => item.id === nearest);
}
