/**
 * The layer graph: pans, zooms, and is walked by keyboard. Only cards within the window are in the document, and none when they are too small
 * to read (rectangles in one path stand for them), so a graph of thousands of layers stays as light as a small one.
 */
import { html, nothing, render, type SVGTemplateResult, svg, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { customProperties } from '../custom-properties';
import { bitsRange, type Decision } from '../decisions';
import { ARROW, count, removed } from '../figures';
import { t } from '../l10n';
import { edgePath } from './edge-path';
import type { GraphItem, VisibleGraph } from './fold';
import type { Box, PlacedGraph } from './place';

/** Below this, text cannot be read and cards become plain rectangles. */
const READABLE = 0.4;
const SMALLEST = 0.05;
const LARGEST = 2;
/** Room around the graph, in pixels of the window. */
const MARGIN = 24;

export interface GraphModel {
  readonly visible: VisibleGraph;
  readonly placed: PlacedGraph;
  readonly decide: (item: GraphItem) => Decision;
  /** False without a run: cards then say what a layer is and costs. */
  readonly hasPolicy: boolean;
  readonly overridden: (item: GraphItem) => string | undefined;
  readonly selected?: string;
}

export interface Camera {
  readonly zoom: number;
  readonly x: number;
  readonly y: number;
}

export interface GraphCallbacks {
  readonly select: (item: GraphItem) => void;
  /** Folds or unfolds: a block itself, or the innermost block around a layer. */
  readonly toggle: (item: GraphItem) => void;
  /** A person moved or zoomed the graph. */
  readonly moved: (camera: Camera) => void;
}

const itemElementId = (index: number): string => `layer-${index}`;

export class GraphView {
  private model: GraphModel | undefined;
  private camera: Camera = { zoom: 1, x: MARGIN, y: MARGIN };
  private active: string | undefined;
  private readonly world = document.createElement('div');
  private frame = 0;
  private drag: { readonly id: number; readonly x: number; readonly y: number; readonly camera: Camera; moved: boolean } | undefined;
  private order = new Map<string, number>();
  /** Paths of edges, made once a layout. */
  private paths = new Map<string, { readonly path: string; readonly top: number; readonly bottom: number }>();

  constructor(
    readonly element: HTMLElement,
    private readonly callbacks: GraphCallbacks,
  ) {
    this.world.className = 'graph-world';
    this.world.setAttribute('role', 'presentation');
    element.append(this.world);
    element.addEventListener('wheel', (event) => this.onWheel(event), { passive: false });
    element.addEventListener('pointerdown', (event) => this.onPointerDown(event));
    element.addEventListener('pointermove', (event) => this.onPointerMove(event));
    element.addEventListener('pointerup', (event) => this.onPointerUp(event));
    element.addEventListener('pointercancel', () => this.endDrag());
    element.addEventListener('dblclick', (event) => this.onDoubleClick(event));
    element.addEventListener('keydown', (event) => this.onKey(event));
    element.addEventListener('focus', () => {
      this.active ??= this.model?.selected ?? this.model?.visible.items[0]?.id;
      this.request();
    });
    new ResizeObserver(() => this.request()).observe(element);
  }

  /** Shows `model`. Without a camera it fits the graph into the window. */
  show(model: GraphModel, camera: Camera | undefined): void {
    if (model.placed !== this.model?.placed) this.paths = new Map();
    if (model.visible !== this.model?.visible) this.order = new Map(model.visible.items.map((item, index) => [item.id, index]));
    const selectionMoved = model.selected !== this.model?.selected;
    this.model = model;
    if (this.active !== undefined && !this.order.has(this.active)) this.active = model.selected;
    if (selectionMoved && model.selected !== undefined) this.active = model.selected;
    if (camera) this.camera = camera;
    else this.camera = this.fitted();
    this.request();
  }

  /** A camera that shows the whole graph, or its upper part where the whole could not be read. */
  fitted(): Camera {
    if (!this.model) return this.camera;
    const { clientWidth, clientHeight } = this.element;
    const { width, height } = this.model.placed;
    const whole = Math.min((clientWidth - 2 * MARGIN) / Math.max(1, width), (clientHeight - 2 * MARGIN) / Math.max(1, height));
    const across = (clientWidth - 2 * MARGIN) / Math.max(1, width);
    const zoom = Math.min(1.1, Math.max(whole, Math.min(0.9, across), SMALLEST));
    const x = Math.max(MARGIN, (clientWidth - width * zoom) / 2);
    return { zoom, x, y: Math.max(MARGIN, (clientHeight - height * zoom) / 3) };
  }

  /** The whole graph, however small. */
  overview(): void {
    if (!this.model) return;
    const { clientWidth, clientHeight } = this.element;
    const { width, height } = this.model.placed;
    const fit = Math.min((clientWidth - 2 * MARGIN) / Math.max(1, width), (clientHeight - 2 * MARGIN) / Math.max(1, height));
    const zoom = Math.min(1.1, Math.max(SMALLEST, fit));
    this.move({ zoom, x: (clientWidth - width * zoom) / 2, y: Math.max(MARGIN, (clientHeight - height * zoom) / 2) });
  }

  zoomBy(factor: number, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2): void {
    const zoom = Math.min(LARGEST, Math.max(SMALLEST, this.camera.zoom * factor));
    const scale = zoom / this.camera.zoom;
    this.move({ zoom, x: x - (x - this.camera.x) * scale, y: y - (y - this.camera.y) * scale });
  }

  /** Moves the graph so that an item is within the window. */
  reveal(id: string): void {
    const box = this.model?.placed.boxes.get(id);
    if (!box) return;
    // What is walked to must be readable.
    if (this.camera.zoom < READABLE) this.camera = { ...this.camera, zoom: 0.9 };
    const { zoom } = this.camera;
    const shift = (at: number, size: number, offset: number, room: number): number => {
      const from = at * zoom + offset;
      const to = from + size * zoom;
      if (from < MARGIN) return offset + MARGIN - from;
      return to > room - MARGIN ? offset + room - MARGIN - to : offset;
    };
    this.move({
      zoom,
      x: shift(box.x, box.width, this.camera.x, this.element.clientWidth),
      y: shift(box.y, box.height, this.camera.y, this.element.clientHeight),
    });
  }

  /** Moves the keyboard's place to an item, and the item into the window. */
  walk(id: string): void {
    this.active = id;
    this.reveal(id);
    this.request();
  }

  private move(camera: Camera): boolean {
    const next = this.bounded(camera);
    const { x, y, zoom } = this.camera;
    if (next.x === x && next.y === y && next.zoom === zoom) return false;
    this.camera = next;
    this.callbacks.moved(next);
    this.request();
    return true;
  }

  /** At least a corner of the graph stays in the window. */
  private bounded({ zoom, x, y }: Camera): Camera {
    if (!this.model) return { zoom, x, y };
    const bound = (at: number, size: number, room: number): number => Math.min(room - 80, Math.max(80 - size * zoom, at));
    return {
      zoom,
      x: bound(x, this.model.placed.width, this.element.clientWidth),
      y: bound(y, this.model.placed.height, this.element.clientHeight),
    };
  }

  private request(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    this.frame = 0;
    const { model } = this;
    if (!model) return;
    const { zoom, x, y } = this.camera;
    const readable = zoom >= READABLE;
    const left = (-x - 100) / zoom;
    const top = (-y - 100) / zoom;
    const right = (this.element.clientWidth - x + 100) / zoom;
    const bottom = (this.element.clientHeight - y + 100) / zoom;
    const inside = (box: Box): boolean => box.x < right && box.x + box.width > left && box.y < bottom && box.y + box.height > top;
    const shown = model.visible.items.filter((item) => {
      // Where the keyboard is, and what is selected, is always in the document.
      if (item.id === this.active || item.id === model.selected) return true;
      return readable && inside(model.placed.boxes.get(item.id)!);
    });
    this.world.style.setProperty('transform', `translate(${x}px, ${y}px) scale(${zoom})`);
    this.element.classList.toggle('overview', !readable);
    const focused = this.active !== undefined && this.order.has(this.active) ? itemElementId(this.order.get(this.active)!) : undefined;
    render(
      html`<svg class="edges" width=${model.placed.width} height=${model.placed.height} aria-hidden="true">
          ${this.edges(top, bottom)} ${readable ? nothing : this.rectangles()}
        </svg>
        ${repeat(
          shown,
          (item) => item.id,
          (item) => this.card(item),
        )}`,
      this.world,
    );
    if (focused === undefined) this.element.removeAttribute('aria-activedescendant');
    else this.element.setAttribute('aria-activedescendant', focused);
  }

  private edges(top: number, bottom: number): SVGTemplateResult {
    const { visible, selected } = this.model!;
    if (this.paths.size === 0 && visible.edges.length > 0) this.routeEdges();
    let plain = '';
    let touching = '';
    visible.edges.forEach((edge, index) => {
      const route = this.paths.get(String(index));
      if (!route || route.top > bottom || route.bottom < top) return;
      if (edge.from === selected || edge.to === selected) touching += route.path;
      else plain += route.path;
    });
    return svg`<g><path class="edge" d=${plain}></path><path class="edge touching" d=${touching}></path></g>`;
  }

  private routeEdges(): void {
    const { visible, placed } = this.model!;
    const sorted = [...placed.boxes.values()].sort((a, b) => a.y - b.y);
    visible.edges.forEach((edge, index) => {
      const from = placed.boxes.get(edge.from)!;
      const to = placed.boxes.get(edge.to)!;
      // First box that begins below the source: those before it cannot stand between.
      let low = 0;
      let high = sorted.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (sorted[middle].y < from.y + from.height - 1) low = middle + 1;
        else high = middle;
      }
      const between: Box[] = [];
      for (let i = low; i < sorted.length && sorted[i].y < to.y; i++) between.push(sorted[i]);
      this.paths.set(String(index), {
        path: edgePath(from, to, between),
        top: Math.min(from.y, to.y),
        bottom: Math.max(from.y + from.height, to.y),
      });
    });
  }

  /** All cards as rectangles, and what is cut of them, in two paths. */
  private rectangles(): SVGTemplateResult {
    const { visible, placed, decide } = this.model!;
    let cards = '';
    let cut = '';
    for (const item of visible.items) {
      const box = placed.boxes.get(item.id)!;
      cards += `M${box.x} ${box.y}h${box.width}v${box.height}h${-box.width}z`;
      const ratio = decide(item).ratio ?? 0;
      if (ratio > 0) cut += `M${box.x} ${box.y}h${box.width * ratio}v${box.height}h${-box.width * ratio}z`;
    }
    return svg`<g><path class="far" d=${cards}></path><path class="far-cut" d=${cut}></path></g>`;
  }

  private card(item: GraphItem): TemplateResult {
    const { placed, decide, hasPolicy, overridden, selected, visible } = this.model!;
    const box = placed.boxes.get(item.id)!;
    const index = this.order.get(item.id)!;
    const block = item.scope !== undefined;
    const node = item.nodes[0];
    const plain = !block && node.quantizable === undefined;
    const decision = decide(item);
    const override = overridden(item);
    const classes = [
      'card',
      block ? 'block' : '',
      plain ? 'plain' : '',
      item.id === selected ? 'selected' : '',
      item.id === this.active ? 'active' : '',
      override ? 'overridden' : '',
      hasPolicy && !decision.ratio ? 'whole' : '',
    ];
    return html`<div
      role="treeitem"
      id=${itemElementId(index)}
      class=${classes.filter(Boolean).join(' ')}
      data-item=${item.id}
      aria-level=${item.depth + 1}
      aria-posinset=${index + 1}
      aria-setsize=${visible.items.length}
      aria-selected=${item.id === selected ? 'true' : 'false'}
      aria-expanded=${block ? 'false' : nothing}
      title=${item.label}
      ${customProperties({ '--x': `${box.x}px`, '--y': `${box.y}px`, '--w': `${box.width}px`, '--h': `${box.height}px` })}
    >
      <span class="hidden">${this.describe(item, decision, override)}</span>
      ${plain ? html`<span class="name" aria-hidden="true">${node.opType}</span>` : this.cardFace(item, decision)}
    </div>`;
  }

  private cardFace(item: GraphItem, { channels, ratio, bits }: Decision): TemplateResult {
    const { hasPolicy } = this.model!;
    const block = item.scope !== undefined;
    const macs = item.nodes.every((node) => node.macs !== null) ? item.nodes.reduce((sum, node) => sum + node.macs!, 0) : undefined;
    const changed = channels && channels.after !== channels.before;
    const side = block
      ? t('{0} layers', item.nodes.length)
      : channels
        ? changed
          ? html`${channels.before}<span class="arrow">${ARROW}</span><b>${channels.after}</b>`
          : t('{0} ch', channels.before)
        : '';
    const frozen = !block && item.nodes[0].notPrunable !== undefined;
    return html`<div class="card-line" aria-hidden="true">
        ${block ? html`<span class="chevron" data-toggle>▸</span>` : nothing}<span class="name long-name"><bdi>${item.label}</bdi></span>
        <span class="side">${side}</span>
      </div>
      <div class="card-line" aria-hidden="true">
        ${
          hasPolicy
            ? html`<span class="bar" ${customProperties({ '--share': ratio ?? 0 })}></span>
              <span class="ratio">${ratio === undefined ? (frozen ? t('whole') : t('open')) : removed(ratio)}</span>
              <span class=${bits ? 'bits' : 'bits float'}>${bits ? bitsRange(bits) : t('float')}</span>`
            : html`<span class="what">${block ? '' : item.nodes[0].opType}</span>
              <span class="side">${macs === undefined ? t('MACs unknown') : t('{0} MACs', count(macs))}</span>`
        }
      </div>`;
  }

  /** A card in words. */
  private describe(item: GraphItem, { channels, ratio, bits }: Decision, override: string | undefined): string {
    const node = item.nodes[0];
    const parts = [item.label, item.scope === undefined ? node.opType : t('folded block of {0} layers', item.nodes.length)];
    if (channels)
      parts.push(
        channels.after === channels.before
          ? t('{0} channels', channels.before)
          : t('{0} of {1} channels kept', channels.after, channels.before),
      );
    if (ratio !== undefined && ratio > 0) parts.push(t('{0} pruned', `${(ratio * 100).toFixed(0)} %`));
    if (bits) parts.push(bitsRange(bits));
    if (item.scope === undefined && node.notPrunable !== undefined && node.weights.length > 0) parts.push(t('not prunable'));
    if (override) parts.push(t('override: {0}', override));
    return parts.join(', ');
  }

  private itemAt(target: EventTarget | null): GraphItem | undefined {
    const id = target instanceof Element ? target.closest<HTMLElement>('[data-item]')?.dataset['item'] : undefined;
    return id === undefined ? undefined : this.model?.visible.items[this.order.get(id) ?? -1];
  }

  private onWheel(event: WheelEvent): void {
    if (event.ctrlKey || event.metaKey) {
      const area = this.element.getBoundingClientRect();
      this.zoomBy(Math.exp(-event.deltaY * 0.004), event.clientX - area.left, event.clientY - area.top);
      event.preventDefault();
      return;
    }
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const { x, y, zoom } = this.camera;
    const [dx, dy] = event.shiftKey ? [event.deltaY, event.deltaX] : [event.deltaX, event.deltaY];
    // Where the graph cannot go further, the page scrolls.
    if (this.move({ zoom, x: x - dx * lines, y: y - dy * lines })) event.preventDefault();
  }

  private onPointerDown(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.drag = { id: event.pointerId, x: event.clientX, y: event.clientY, camera: this.camera, moved: false };
  }

  private onPointerMove(event: PointerEvent): void {
    const { drag } = this;
    if (!drag || drag.id !== event.pointerId) return;
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.moved && Math.hypot(dx, dy) < 4) return;
    if (!drag.moved) {
      drag.moved = true;
      this.element.setPointerCapture(event.pointerId);
      this.element.classList.add('dragging');
    }
    this.move({ ...drag.camera, x: drag.camera.x + dx, y: drag.camera.y + dy });
  }

  private onPointerUp(event: PointerEvent): void {
    const { drag } = this;
    this.endDrag();
    if (!drag || drag.moved) return;
    const item = this.itemAt(event.target) ?? this.itemUnder(event);
    if (!item) return;
    this.active = item.id;
    if (event.target instanceof Element && event.target.closest('[data-toggle]')) this.callbacks.toggle(item);
    else this.callbacks.select(item);
  }

  private endDrag(): void {
    this.drag = undefined;
    this.element.classList.remove('dragging');
  }

  /** The item at a place of the window when cards are only rectangles. */
  private itemUnder(event: MouseEvent): GraphItem | undefined {
    if (!this.model || this.camera.zoom >= READABLE) return undefined;
    const area = this.element.getBoundingClientRect();
    const x = (event.clientX - area.left - this.camera.x) / this.camera.zoom;
    const y = (event.clientY - area.top - this.camera.y) / this.camera.zoom;
    return this.model.visible.items.find((item) => {
      const box = this.model!.placed.boxes.get(item.id)!;
      return x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height;
    });
  }

  private onDoubleClick(event: MouseEvent): void {
    const item = this.itemAt(event.target);
    if (item?.scope !== undefined) this.callbacks.toggle(item);
  }

  private onKey(event: KeyboardEvent): void {
    const { model } = this;
    if (!model || event.altKey || event.ctrlKey || event.metaKey) return;
    const { items } = model.visible;
    const at = items[this.order.get(this.active ?? '') ?? 0];
    if (!at) return;
    const { camera } = this;
    const pan = { ArrowUp: [0, 80], ArrowDown: [0, -80], ArrowLeft: [80, 0], ArrowRight: [-80, 0] }[event.key];
    if (event.shiftKey && pan) this.move({ ...camera, x: camera.x + pan[0], y: camera.y + pan[1] });
    else if (pan) this.walk((this.neighbour(at, event.key) ?? at).id);
    else if (event.key === 'Home') this.walk(items[0].id);
    else if (event.key === 'End') this.walk(items[items.length - 1].id);
    else if (event.key === 'Enter') this.callbacks.select(at);
    else if (event.key === ' ') this.callbacks.toggle(at);
    else if (event.key === '+' || event.key === '=') this.zoomBy(1.2);
    else if (event.key === '-') this.zoomBy(1 / 1.2);
    else if (event.key === '0') this.overview();
    else return;
    event.preventDefault();
  }

  /** Down and up follow the edges; left and right go to the nearest card beside. */
  private neighbour(from: GraphItem, key: string): GraphItem | undefined {
    const { visible, placed } = this.model!;
    const box = placed.boxes.get(from.id)!;
    const distance = (id: string): number => {
      const other = placed.boxes.get(id)!;
      const across = other.x + other.width / 2 - box.x - box.width / 2;
      const along = other.y + other.height / 2 - box.y - box.height / 2;
      // What stands level counts as nearer than what is nearer but higher or lower.
      return key === 'ArrowLeft' || key === 'ArrowRight' ? Math.abs(across) + 3 * Math.abs(along) : Math.hypot(across, along);
    };
    let ids: string[];
    if (key === 'ArrowDown') ids = visible.edges.filter((edge) => edge.from === from.id).map((edge) => edge.to);
    else if (key === 'ArrowUp') ids = visible.edges.filter((edge) => edge.to === from.id).map((edge) => edge.from);
    else {
      const sign = key === 'ArrowRight' ? 1 : -1;
      ids = visible.items
        .filter((item) => {
          const other = placed.boxes.get(item.id)!;
          const across = (other.x + other.width / 2 - box.x - box.width / 2) * sign;
          return across > 8 && Math.abs(other.y + other.height / 2 - box.y - box.height / 2) <= across * 2;
        })
        .map((item) => item.id);
    }
    const nearest = ids.sort((a, b) => distance(a) - distance(b))[0];
    return nearest === undefined ? undefined : visible.items[this.order.get(nearest)!];
  }
}
