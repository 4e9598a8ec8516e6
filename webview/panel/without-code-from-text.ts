/**
 * Imported before anything that declares a schema: zod tries at each declaration whether it may make functions from text, which the page's
 * content security policy forbids and the browser would report.
 */
import * as z from 'zod';

z.config({ jitless: true });
