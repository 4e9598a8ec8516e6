import type { Browser } from 'playwright-core';

export function chromiumPath(): Promise<string>;
export function launchBrowser(): Promise<Browser>;
