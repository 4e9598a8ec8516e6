/**
 * A seeded generator passed to whatever draws: xoshiro128** (Blackman, Vigna 2018), seeded by splitmix32.
 * Its state is plain data, so a run that stops can go on with the same draws.
 */
export class Random {
  private s: Uint32Array;
  private spare: number | undefined;

  constructor(seed: number | readonly number[]) {
    if (typeof seed === 'number') {
      let z = seed >>> 0;
      this.s = Uint32Array.from({ length: 4 }, () => {
        z = (z + 0x9e3779b9) >>> 0;
        let t = z ^ (z >>> 16);
        t = Math.imul(t, 0x21f0aaad);
        t ^= t >>> 15;
        t = Math.imul(t, 0x735a2d97);
        return (t ^ (t >>> 15)) >>> 0;
      });
    } else {
      this.s = Uint32Array.from(seed.slice(0, 4));
      this.spare = seed[4];
    }
  }

  /** A generator of its own for a named part of the work: the same name and parent state give the same stream. */
  fork(name: string): Random {
    let h = 2166136261;
    for (const c of `${this.s.join(',')}:${name}`) h = Math.imul(h ^ c.charCodeAt(0), 16777619);
    return new Random(h >>> 0);
  }

  /** 32 random bits. */
  bits(): number {
    const s = this.s;
    const x = Math.imul(s[1], 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  /** Uniform in [0, 1), 53 bits. */
  uniform(): number {
    return ((this.bits() >>> 5) * 67108864 + (this.bits() >>> 6)) / 9007199254740992;
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** A whole number in [0, n). */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** Standard normal (Marsaglia's polar method). */
  normal(): number {
    if (this.spare !== undefined) {
      const v = this.spare;
      this.spare = undefined;
      return v;
    }
    for (;;) {
      const u = 2 * this.uniform() - 1;
      const v = 2 * this.uniform() - 1;
      const q = u * u + v * v;
      if (q > 0 && q < 1) {
        const f = Math.sqrt((-2 * Math.log(q)) / q);
        this.spare = v * f;
        return u * f;
      }
    }
  }

  /** A random order of 0 … n−1 (Fisher-Yates). */
  permutation(n: number): Uint32Array {
    const p = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [p[i], p[j]] = [p[j], p[i]];
    }
    return p;
  }

  /** Everything needed to go on later: `new Random(state)`. */
  state(): number[] {
    return this.spare === undefined ? [...this.s] : [...this.s, this.spare];
  }
}
