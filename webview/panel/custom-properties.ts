/** Sets CSS custom properties of an element. Through the object model: a `style` attribute would break the page's content security policy. */
import { type AttributePart, noChange } from 'lit';
import { Directive, directive, type ElementPart, type PartInfo, PartType } from 'lit/directive.js';

class CustomProperties extends Directive {
  constructor(part: PartInfo) {
    super(part);
    if (part.type !== PartType.ELEMENT) throw new Error('customProperties() belongs on an element');
  }

  render(_properties: Readonly<Record<`--${string}`, string | number>>): unknown {
    return noChange;
  }

  override update(part: AttributePart | ElementPart, [properties]: Parameters<this['render']>): unknown {
    const { style } = part.element as HTMLElement;
    for (const [name, value] of Object.entries(properties)) style.setProperty(name, String(value));
    return noChange;
  }
}

export const customProperties = directive(CustomProperties);
