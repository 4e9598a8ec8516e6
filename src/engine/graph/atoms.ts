import { UserError } from '../errors';

/** Some forty times what ResNet-152 has; a damaged file may ask for any number. */
const MOST_ATOMS = 2 ** 22;

/** Union-find over channel atoms: positions that end in one class lose their channel together. */
export class Atoms {
  private readonly parent: number[] = [];

  get count(): number {
    return this.parent.length;
  }

  /** `count` new atoms, each a class of its own. */
  fresh(count: number): Int32Array {
    if (this.parent.length + count > MOST_ATOMS)
      throw new UserError(
        `the model has more than ${MOST_ATOMS} channels to follow`,
        'A length in it is absurd: the file is damaged, or was made for other inputs.',
      );
    const first = this.parent.length;
    const atoms = new Int32Array(count);
    for (let i = 0; i < count; i++) {
      this.parent.push(first + i);
      atoms[i] = first + i;
    }
    return atoms;
  }

  /** The atom that stands for the class of `atom`: its smallest member. */
  find(atom: number): number {
    let root = atom;
    while (this.parent[root] !== root) root = this.parent[root];
    for (let a = atom; a !== root; ) {
      const next = this.parent[a];
      this.parent[a] = root;
      a = next;
    }
    return root;
  }

  /** Joins two classes; false where they were one already. */
  union(a: number, b: number): boolean {
    const x = this.find(a);
    const y = this.find(b);
    if (x === y) return false;
    this.parent[Math.max(x, y)] = Math.min(x, y);
    return true;
  }
}
