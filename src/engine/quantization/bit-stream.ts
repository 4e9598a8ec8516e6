/** Bits one after another in bytes, the highest bit of a byte first. */
import { UserError } from '../errors';

export class BitWriter {
  private bytes = new Uint8Array(256);
  /** Bits written so far. */
  private at = 0;

  get bits(): number {
    return this.at;
  }

  /** The lowest `count` bits of a value, its highest first. @param count 0 to 32 */
  write(value: number, count: number): void {
    if (this.at + count > this.bytes.length * 8) {
      const larger = new Uint8Array(this.bytes.length * 2);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    for (let i = count - 1; i >= 0; i--) {
      if ((value >>> i) & 1) this.bytes[this.at >> 3] |= 0x80 >> (this.at & 7);
      this.at++;
    }
  }

  /** What was written, the last byte filled up with zeros. */
  finish(): Uint8Array {
    return this.bytes.slice(0, (this.at + 7) >> 3);
  }
}

export class BitReader {
  private at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  /** @throws UserError where the bits are at their end */
  bit(): number {
    const byte = this.bytes[this.at >> 3];
    if (byte === undefined) throw new UserError('the coded weights end too early: the file is damaged', 'Write it again.');
    const bit = (byte >> (7 - (this.at & 7))) & 1;
    this.at++;
    return bit;
  }

  /** @param count 0 to 32 */
  read(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) value = ((value << 1) | this.bit()) >>> 0;
    return value;
  }
}
