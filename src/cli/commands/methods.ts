/** `espalier methods`: the named methods and what each is made of. */
import { methods } from '../../engine/methods/registry';

export async function listMethods(options: { json?: boolean }): Promise<void> {
  for (const { name, title, description, source, credit } of methods) {
    process.stdout.write(
      options.json
        ? `${JSON.stringify({ name, title, description, source, credit })}\n`
        : `${name}\n  ${title}: ${description}\n  ${source}; scored ${credit === 'step' ? 'after every step' : 'at the end of an episode'}\n`,
    );
  }
}
