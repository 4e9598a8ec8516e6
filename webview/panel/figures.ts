/** Figures as people read them: short, with their unit, never split over two lines. */

import { t } from './l10n';
import type { Dimension } from './shapes';

/** No break between a figure and its unit. */
const SPACE = '\u00a0';
const MINUS = '\u2212';
export const ARROW = '\u2192';

const unbroken = (text: string): string => text.replaceAll(' ', SPACE);

/** Share in [0, 1] as "90.6 %". */
export function percent(share: number, decimals = 1): string {
  return `${(share * 100).toFixed(decimals)}${SPACE}%`;
}

/** Share removed, as "−50 %", or "kept". */
export function removed(share: number): string {
  return share > 0 ? `${MINUS}${(share * 100).toFixed(0)}${SPACE}%` : t('kept');
}

const steps = (value: number, base: number, units: readonly string[]): string => {
  let rest = value;
  let unit = 0;
  // 999.5 would be written as 1000, which the next unit says better.
  while (rest >= base * 0.9995 && unit < units.length - 1) {
    rest /= base;
    unit++;
  }
  const digits = unit === 0 ? (Number.isInteger(rest) ? 0 : 1) : rest < 10 ? 2 : rest < 100 ? 1 : 0;
  const text = rest.toFixed(digits);
  return units[unit] ? `${text}${SPACE}${units[unit]}` : text;
};

/** Numbers of operations or parameters: "40.6 M". */
export const count = (value: number): string => steps(value, 1000, ['', 'K', 'M', 'G', 'T']);

/** Bytes in decimal units: "74.0 KB". */
export const bytes = (value: number): string => steps(value, 1000, ['B', 'KB', 'MB', 'GB']);

/** "3 min 10 s", "1 h 5 min", "under 1 s". */
export function duration(seconds: number): string {
  if (seconds < 1) return unbroken(t('under 1 s'));
  const whole = Math.round(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const parts =
    hours > 0
      ? [t('{0} h', hours), minutes > 0 ? t('{0} min', minutes) : '']
      : minutes > 0
        ? [t('{0} min', minutes), whole % 60 > 0 ? t('{0} s', whole % 60) : '']
        : [t('{0} s', whole)];
  return unbroken(parts.filter((part) => part !== '').join(' '));
}

/** A time in milliseconds with three figures: "0.041 ms", "12.3 ms". */
export function milliseconds(value: number): string {
  return `${value === 0 ? '0' : value < 1 ? value.toPrecision(2) : value.toPrecision(3)}${SPACE}ms`;
}

/** Weight bits: "4 bit", or "float" for what is not quantised. */
export function bitsText(bits: number | undefined): string {
  return bits === undefined || bits === 32 ? t('float') : unbroken(t('{0} bit', bits));
}

/** A figure of an agent, with three significant digits. */
export function plain(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  const text = size >= 1000 || size < 0.001 ? value.toExponential(1) : value.toPrecision(3);
  return text.replace('-', MINUS);
}

/** "16 × 3 × 3 × 3", "? × 10"; "unknown" without axes. */
export function shapeText(shape: readonly Dimension[] | null): string {
  if (shape === null) return t('unknown');
  return shape.length === 0 ? t('one number') : shape.map((length) => length ?? '?').join(`${SPACE}×${SPACE}`);
}

/** The last part of a path of either kind. */
export const fileName = (path: string): string => path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
