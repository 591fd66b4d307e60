/** The two kinds of charts, as Vega-Lite specifications. The colours suit light and dark pages. */
import type { TopLevelSpec } from "vega-lite";

/** One number of a rival. */
export interface Dot {
  readonly id: string;
  readonly title: string;
  /** The panel in a chart of bars. */
  readonly group: string;
  readonly x: number;
  readonly y: number;
}

/** Ours stands out. The platform's own, Node's and Go's rivals have similar colours. */
const COLOURS: Readonly<Record<string, string>> = {
  ours: "#e8590c",
  bare: "#4c8dd6",
  durable: "#7a6ff0",
  party: "#3aa6b9",
  socketio: "#5c9e31",
  "socketio-csr": "#8aa829",
  ws: "#2e9e6b",
  gin: "#c2559d",
  "gin-coalesced": "#a8577e",
  obvious: "#4c8dd6",
};

const FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";

function frame(title: string, note: string) {
  return {
    background: "transparent",
    padding: 12,
    title: {
      text: title,
      subtitle: note,
      anchor: "start",
      color: "#24292f",
      subtitleColor: "#57606a",
      font: FONT,
      subtitleFont: FONT,
      fontSize: 15,
      subtitleFontSize: 10,
      offset: 14,
    },
    config: {
      view: { stroke: null },
      font: FONT,
      axis: {
        labelColor: "#57606a",
        titleColor: "#57606a",
        gridColor: "#d8dee4",
        domainColor: "#d8dee4",
        tickColor: "#d8dee4",
        titleFontWeight: "normal",
        labelFontSize: 11,
      },
      header: { labelColor: "#24292f", labelFontSize: 12, labelFontWeight: "bold" },
      legend: { labelColor: "#57606a", titleColor: "#57606a", labelLimit: 0 },
    },
  } as const;
}

function colours(dots: readonly Dot[]) {
  const ids = [...new Map(dots.map(({ title, id }) => [title, COLOURS[id] ?? "#8b949e"]))];
  return { domain: ids.map(([title]) => title), range: ids.map(([, colour]) => colour) };
}

/** What a chart shows. */
export interface Chart {
  readonly title: string;
  /** The title of the axis of values. */
  readonly unit: string;
  readonly dots: readonly Dot[];
  /** A subtitle: the circumstances. */
  readonly note: string;
}

/** A panel of bars for each group, with the numbers beside them. */
export function bars({ title, unit, dots, note }: Chart, logarithmic = false): TopLevelSpec {
  const scale = colours(dots);
  // A logarithmic bar has no natural beginning: it begins at a power of ten below the smallest value.
  const floor = 10 ** Math.floor(Math.log10(Math.min(...dots.map(({ y }) => y))) - 0.3);
  const values = dots.map((dot) => ({ ...dot, floor: logarithmic ? floor : 0, label: written(dot.y) }));
  const x = {
    field: "y",
    type: "quantitative",
    title: unit,
    scale: logarithmic ? { type: "log", domainMin: floor, nice: false } : { zero: true },
    axis: { tickCount: 5 },
  } as const;
  const y = {
    field: "title",
    type: "nominal",
    sort: scale.domain,
    title: null,
    axis: { labelLimit: 0, ticks: false, domain: false, grid: false },
  } as const;
  return {
    ...frame(title, note),
    data: { values },
    facet: {
      row: {
        field: "group",
        type: "nominal",
        title: null,
        sort: [...new Set(dots.map(({ group }) => group))],
        header: { labelAngle: 0, labelOrient: "top", labelAnchor: "start" },
      },
    },
    spec: {
      width: 480,
      height: { step: 20 },
      layer: [
        {
          mark: { type: "bar", height: 13 },
          encoding: { x, x2: { field: "floor" }, y, color: { field: "title", type: "nominal", scale, legend: null } },
        },
        {
          mark: { type: "text", align: "left", dx: 5, color: "#24292f", fontSize: 11 },
          encoding: { x: { field: "y", type: "quantitative" }, y, text: { field: "label", type: "nominal" } },
        },
      ],
    },
  } as TopLevelSpec;
}

/** A line for each rival, both axes logarithmic. */
export function lines({ title, unit, dots, note }: Chart): TopLevelSpec {
  return {
    ...frame(title, note),
    data: { values: [...dots] },
    width: 480,
    height: 280,
    mark: { type: "line", point: { size: 45 }, strokeWidth: 2 },
    encoding: {
      x: {
        field: "x",
        type: "quantitative",
        title: unit,
        scale: { type: "log" },
        axis: { values: [...new Set(dots.map(({ x }) => x))], grid: false, format: "," },
      },
      y: { field: "y", type: "quantitative", title: "us, logarithmic", scale: { type: "log" }, axis: { tickCount: 5 } },
      color: { field: "title", type: "nominal", scale: colours(dots), title: null },
    },
  };
}

function written(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(3)));
}
