import { UserError } from '../errors';

/** Float32 numbers as base64 of their little-endian bytes: exact, compact, and plain data for JSON. */
export function encodeFloats(values: Float32Array): string {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => {
    bytes.writeFloatLE(value, i * 4);
  });
  return bytes.toString('base64');
}

/** @throws UserError when `text` does not hold `length` numbers: the checkpoint was written by an agent of another shape. */
export function decodeFloats(text: unknown, length: number): Float32Array {
  const bytes = Buffer.from(typeof text === 'string' ? text : '', 'base64');
  if (bytes.length !== length * 4) {
    throw new UserError(
      `The agent's checkpoint holds ${bytes.length / 4} numbers where this agent has ${length}.`,
      'Resume with the configuration the run was started with, or start a new run.',
    );
  }
  return Float32Array.from({ length }, (_, i) => bytes.readFloatLE(i * 4));
}
