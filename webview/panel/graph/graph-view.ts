/**
 * The layer graph: pans, zooms, and is walked by keyboard. Only cards within the window are in the document, and none when they are too small
 * to read (rectangles in one path stand for them), so a graph of thousands of layers stays as light as a small one.
 */
import { html, nothing, render, svg } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import type { Decision } from '../decisions';
import { bounded, type Camera, fitted, MARGIN, overview, READABLE, revealing, type Size, zoomed } from './camera';
import { card, itemElementId } from './card';
import { edgePaths, type Route, rectanglePaths, routesOf } from './drawing';
import type { GraphItem, VisibleGraph } from './fold';
import { neighbour } from './neighbour';
import type { Box, PlacedGraph } from './place';

export interface GraphModel {
  readonly visible: VisibleGraph;
  readonly placed: PlacedGraph;
  readonly decide: (item: GraphItem) => Decision;
  /** False without a run: cards then say what a layer is and costs. */
  readonly hasPolicy: boolean;
  readonly overridden: (item: GraphItem) => string | undefined;
  readonly selected?: string;
}

export interface GraphCallbacks {
  readonly select: (item: GraphItem) => void;
  /** Nothing is to be selected. */
  readonly clear: () => void;
  /** Folds or unfolds: a block itself, or the innermost block around a layer. */
  readonly toggle: (item: GraphItem) => void;
  /** A person moved or zoomed the graph. */
  readonly moved: (camera: Camera) => void;
}

export class GraphView {
  private model: GraphModel | undefined;
  private camera: Camera = { zoom: 1, x: MARGIN, y: MARGIN };
  private active: string | undefined;
  private readonly world = document.createElement('div');
  private frame = 0;
  private drag: { readonly id: number; readonly x: number; readonly y: number; readonly camera: Camera; moved: boolean } | undefined;
  private order = new Map<string, number>();
  private routes: readonly Route[] = [];

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
    if (model.placed !== this.model?.placed) this.routes = routesOf(model.visible, model.placed);
    if (model.visible !== this.model?.visible) this.order = new Map(model.visible.items.map((item, index) => [item.id, index]));
    const selectionMoved = model.selected !== this.model?.selected;
    this.model = model;
    if (this.active !== undefined && !this.order.has(this.active)) this.active = model.selected;
    if (selectionMoved && model.selected !== undefined) this.active = model.selected;
    this.camera = camera ?? fitted(model.placed, this.window);
    // At once: in no frame do the cards say other than the rest of the panel.
    this.draw();
  }

  /** The whole graph, however small. */
  overview(): void {
    if (this.model) this.move(overview(this.model.placed, this.window));
  }

  zoomBy(factor: number, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2): void {
    this.move(zoomed(this.camera, factor, x, y));
  }

  /** Moves the graph so that an item is within the window. */
  reveal(id: string): void {
    const box = this.model?.placed.boxes.get(id);
    if (box) this.move(revealing(this.camera, box, this.window));
  }

  /** Moves the keyboard's place to an item, and the item into the window. */
  walk(id: string): void {
    this.active = id;
    this.reveal(id);
    this.request();
  }

  private move(camera: Camera): boolean {
    const next = this.model ? bounded(camera, this.model.placed, this.window) : camera;
    const { x, y, zoom } = this.camera;
    if (next.x === x && next.y === y && next.zoom === zoom) return false;
    this.camera = next;
    this.callbacks.moved(next);
    this.request();
    return true;
  }

  private get window(): Size {
    return { width: this.element.clientWidth, height: this.element.clientHeight };
  }

  private request(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { model } = this;
    if (!model) return;
    const { visible, placed } = model;
    const { zoom, x, y } = this.camera;
    const readable = zoom >= READABLE;
    const left = (-x - 100) / zoom;
    const top = (-y - 100) / zoom;
    const right = (this.element.clientWidth - x + 100) / zoom;
    const bottom = (this.element.clientHeight - y + 100) / zoom;
    const inside = (box: Box): boolean => box.x < right && box.x + box.width > left && box.y < bottom && box.y + box.height > top;
    const shown = visible.items.filter((item) => {
      // Where the keyboard is, and what is selected, is always in the document.
      if (item.id === this.active || item.id === model.selected) return true;
      return readable && inside(placed.boxes.get(item.id)!);
    });
    this.world.style.setProperty('transform', `translate(${x}px, ${y}px) scale(${zoom})`);
    this.element.classList.toggle('overview', !readable);
    const focused = this.active !== undefined && this.order.has(this.active) ? itemElementId(this.order.get(this.active)!) : undefined;
    const edges = edgePaths(this.routes, top, bottom, model.selected);
    const far = readable ? undefined : rectanglePaths(visible, placed, (item) => model.decide(item).ratio ?? 0);
    render(
      html`<svg class="edges" width=${placed.width} height=${placed.height} aria-hidden="true">
          ${svg`<g><path class="edge" d=${edges.plain}></path><path class="edge touching" d=${edges.touching}></path></g>`}
          ${far ? svg`<g><path class="far" d=${far.cards}></path><path class="far-cut" d=${far.cut}></path></g>` : nothing}
        </svg>
        ${repeat(
          shown,
          (item) => item.id,
          (item) =>
            card({
              item,
              box: placed.boxes.get(item.id)!,
              index: this.order.get(item.id)!,
              items: visible.items.length,
              decision: model.decide(item),
              hasPolicy: model.hasPolicy,
              override: model.overridden(item),
              selected: item.id === model.selected,
              active: item.id === this.active,
            }),
        )}`,
      this.world,
    );
    if (focused === undefined) this.element.removeAttribute('aria-activedescendant');
    else this.element.setAttribute('aria-activedescendant', focused);
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
    if (!item) {
      this.callbacks.clear();
      return;
    }
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
    else if (pan) this.walk((neighbour(at, event.key, model.visible, model.placed) ?? at).id);
    else if (event.key === 'Home') this.walk(items[0].id);
    else if (event.key === 'End') this.walk(items[items.length - 1].id);
    else if (event.key === 'Enter') this.callbacks.select(at);
    else if (event.key === ' ') this.callbacks.toggle(at);
    else if (event.key === 'Escape') this.callbacks.clear();
    else if (event.key === '+' || event.key === '=') this.zoomBy(1.2);
    else if (event.key === '-') this.zoomBy(1 / 1.2);
    else if (event.key === '0') this.overview();
    else return;
    event.preventDefault();
  }
}
