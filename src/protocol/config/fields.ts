/** Kinds of value that parts of the config share. */
import * as z from 'zod';
import { DURATION_PATTERN, secondsOf } from '../duration';

export const share = z.number().min(0).max(1);
export const positive = z.number().positive();
export const wholeAtLeast = (least: number) => z.int().min(least);
export const path = z.string().min(1);

/** A length of time: seconds, or a text such as '10m' or '1h30m'. Read as seconds. */
export const duration = z
  .union([positive, z.string().regex(DURATION_PATTERN, "must be seconds or a text such as '90s', '10m' or '1h30m'")])
  .transform((value) => (typeof value === 'number' ? value : secondsOf(value)!))
  .refine((seconds) => seconds > 0, 'must be longer than 0 seconds');

/** Weight bits that are quantised. */
export const bits = z.int().min(1).max(8);
