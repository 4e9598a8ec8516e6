/** SVG text as the address of an image in Markdown. */
export function svgImage(svg: string): string {
  return `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`;
}
